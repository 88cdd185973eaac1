// The CUDA kernel of the residual stream without a GPU: what it is told, and what each of its
// threads does, a block after the other on the CPU. What remains for a GPU is the sum over a block
// (cuda_kernels_test.cpp).
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "cuda/passes.h"
#include "cuda/residual_phases.h"
#include "stream_case.h"
#include "support/golden.h"

namespace l2c {
namespace {

using namespace ops::cuda;

template <class F>
float sum_over_threads(int threads, F phase) {
  float sum = 0;
  for (int thread = 0; thread < threads; ++thread) sum += phase(thread);
  return sum;
}

// As kernels.cu.
template <int elements>
void run_blocks(const ResidualPass& pass, int threads) {
  const auto d = static_cast<float>(pass.d);
  at::Tensor memory = at::empty({pass.d});
  auto* const row_memory = memory.data_ptr<float>();
  for (std::int64_t row = 0; row < pass.rows; ++row) {
    // What another block left there must not matter.
    memory.fill_(std::numeric_limits<float>::quiet_NaN());
    const float mean =
        sum_over_threads(threads,
                         [&](int thread) {
                           return add_summands<elements>(pass, row_memory, row, thread, threads);
                         }) /
        d;
    if (pass.out == nullptr) continue;
    const float variance =
        sum_over_threads(threads,
                         [&](int thread) {
                           return squares<elements>(pass, row_memory, mean, thread, threads);
                         }) /
        d;
    const float scale = 1 / std::sqrt(variance + pass.eps);
    for (int thread = 0; thread < threads; ++thread) {
      write_normed<elements>(pass, row_memory, mean, scale, row, thread, threads);
    }
  }
}

void run_on_cpu(const std::vector<ResidualPass>& all) {
  for (const ResidualPass& pass : all) {
    const Launch launch = launch_of(pass);
    launch.in_fours ? run_blocks<4>(pass, launch.threads) : run_blocks<1>(pass, launch.threads);
  }
}

class CudaPasses : public testing::TestWithParam<test::StreamCase> {
 protected:
  const at::NoGradGuard no_grad;
};

TEST_P(CudaPasses, AddWhatIsPendingAndNormalise) {
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    test::StreamInputs in(GetParam(), at::kCPU);
    ASSERT_TRUE(fits(in.tokens, in.pending));
    ASSERT_TRUE(fits(in.tokens, in.norm, in.modulation));
    at::Tensor out = at::full(in.tokens.sizes(), 7, in.tokens.options().dtype(type));
    run_on_cpu(passes(in.tokens, in.pending, in.norm, in.modulation, out));
    EXPECT_LT(test::relative_error(in.tokens, in.sum), 1e-6);
    EXPECT_LT(test::relative_error(out, in.normed), type == at::kFloat ? 5e-6 : 5e-3);
  }
}

TEST_P(CudaPasses, AddWithoutANorm) {
  test::StreamInputs in(GetParam(), at::kCPU);
  const auto all = passes(in.tokens, in.pending);
  const auto terms = static_cast<std::size_t>(GetParam().branches);
  EXPECT_EQ(all.size(), (terms + most_summands - 1) / most_summands);
  run_on_cpu(all);
  EXPECT_LT(test::relative_error(in.tokens, in.sum), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaPasses, testing::ValuesIn(test::stream_cases()),
                         [](const auto& param) { return param.param.name; });

ResidualPass pass_of(std::int64_t width, std::int64_t offset = 0) {
  const test::StreamCase of{.name = "", .rows = 2, .tokens = 3, .width = width, .offset = offset};
  static std::vector<test::StreamInputs> alive;  // the pass points into it
  alive.emplace_back(of, at::kCPU);
  return passes(alive.back().tokens, alive.back().pending).front();
}

TEST(CudaLaunch, GivesEveryThreadWorkInWholeWarps) {
  const std::vector<std::pair<std::int64_t, int>> widths = {
      {1, 32}, {33, 64}, {64, 32}, {192, 64}, {1152, 288}, {1151, 512}, {8192, 512}};
  for (const auto& [width, threads] : widths) {
    const Launch launch = launch_of(pass_of(width));
    EXPECT_EQ(launch.threads, threads) << width;
    EXPECT_EQ(launch.shared_bytes, static_cast<std::size_t>(width) * 4);
    EXPECT_EQ(launch.in_fours, width % 4 == 0) << width;
  }
  EXPECT_LE(launch_of(pass_of(most_width)).shared_bytes, 48U * 1024 - 128)
      << "what a block may have without asking, and the sums of its warps";
}

TEST(CudaLaunch, TakesFourAtATimeOnlyFromAlignedMemory) {
  EXPECT_TRUE(launch_of(pass_of(64)).in_fours);
  EXPECT_FALSE(launch_of(pass_of(64, 1)).in_fours);
  ResidualPass pass = pass_of(64);
  pass.summands[0].gate_stride = 66;
  EXPECT_FALSE(launch_of(pass).in_fours) << "the second sample's gate";
  pass = pass_of(64);
  pass.modulation_stride = 66;
  EXPECT_FALSE(launch_of(pass).in_fours) << "the second sample's shift";
  pass = pass_of(64);
  pass.bias = pass.tokens + 1;
  EXPECT_FALSE(launch_of(pass).in_fours);
}

TEST(CudaPassesFit, RefuseWhatTheKernelCannotRead) {
  const at::NoGradGuard no_grad;
  const auto x = at::zeros({2, 3, 8});
  const auto with = [&](const at::Tensor& value, const at::Tensor& gate) {
    return fits(x, {{single(value), gate}});
  };
  EXPECT_TRUE(with(at::zeros({2, 3, 8}), {}));
  EXPECT_TRUE(with(at::zeros({2, 3, 8}, at::kBFloat16), at::zeros({2, 8})));
  EXPECT_TRUE(with(at::zeros({2, 3, 8}), at::zeros({2, 16}).narrow(1, 8, 8)));
  EXPECT_FALSE(with(at::zeros({2, 3, 8}, at::kDouble), {}));
  EXPECT_FALSE(with(at::zeros({2, 8, 3}).transpose(1, 2), {})) << "rows with gaps";
  EXPECT_FALSE(with(at::zeros({2, 3, 4}), {}));
  EXPECT_FALSE(with(at::zeros({2, 3, 8}), at::zeros({1, 8}))) << "one gate for two samples";
  EXPECT_FALSE(with(at::zeros({2, 3, 8}), at::zeros({2, 8}, at::kBFloat16)));
  EXPECT_FALSE(with(at::zeros({2, 3, 8}), at::zeros({8, 2}).t()));
  EXPECT_FALSE(fits(at::zeros({2, 3, 8}, at::kBFloat16), {}));
  EXPECT_FALSE(fits(at::zeros({0, 3, 8}), {}));
  EXPECT_FALSE(fits(at::zeros({1, 1, most_width + 1}), {}));
  EXPECT_TRUE(fits(x, {}, {}));
  EXPECT_FALSE(fits(x, {}, {at::zeros({2, 8}), {}})) << "a shift without a scale";
  EXPECT_FALSE(fits(x, {}, {at::zeros({2, 8}), at::zeros({2, 16}).narrow(1, 0, 8)}));
  EXPECT_FALSE(fits(x, {1e-6, at::zeros({4}), {}}, {}));
}

TEST(CudaPhases, RoundToBf16AsLibTorchDoes) {
  std::vector<float> values = {0.0F,
                               -0.0F,
                               1.0F,
                               1.00390625F,
                               1.01171875F,
                               3.3e38F,
                               1e-40F,
                               -7.77F,
                               std::numeric_limits<float>::infinity(),
                               -std::numeric_limits<float>::infinity()};
  at::manual_seed(52);
  const auto random = at::randn({1000});
  values.insert(values.end(), random.data_ptr<float>(), random.data_ptr<float>() + 1000);
  for (const float x : values) {
    EXPECT_EQ(to_bf16(x), c10::BFloat16(x).x) << x;
    EXPECT_EQ(from_bf16(to_bf16(x)), static_cast<float>(c10::BFloat16(x))) << x;
  }
  EXPECT_TRUE(std::isnan(from_bf16(to_bf16(std::numeric_limits<float>::quiet_NaN()))));
}

}  // namespace
}  // namespace l2c
