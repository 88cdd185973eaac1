// Each CUDA operation against its reference in fp64. Skipped, with a message, where there is no
// GPU.
#include <ATen/Context.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <tuple>

#include "cuda/operations.h"
#include "l2c/ops/attention.h"
#include "l2c/ops/linear.h"
#include "l2c/ops/residual_stream.h"
#include "stream_case.h"
#include "support/golden.h"

namespace l2c {
namespace {

using test::relative_error;

double tolerance(at::ScalarType type) { return type == at::kFloat ? 5e-6 : 6e-3; }
std::string type_name(at::ScalarType type) { return type == at::kFloat ? "fp32" : "bf16"; }
at::Device gpu() { return at::Device(at::kCUDA, 0); }
at::Tensor exact(const at::Tensor& tensor) { return tensor.to(at::kCPU, at::kDouble); }

#define SKIP_WITHOUT_GPU() \
  if (!at::globalContext().hasCUDA()) GTEST_SKIP() << "no GPU for cuda:0: the kernel did not run"

class CudaStream : public testing::TestWithParam<std::tuple<test::StreamCase, at::ScalarType>> {};

TEST_P(CudaStream, AddsWhatIsPendingAndNormalises) {
  SKIP_WITHOUT_GPU();
  const at::NoGradGuard no_grad;
  const auto& [of, type] = GetParam();
  const test::StreamInputs in(of, gpu());
  ASSERT_TRUE(ops::cuda::usable(in.tokens, in.pending, in.norm, in.modulation, type));
  ops::ResidualStream stream(in.tokens.clone(), type);
  for (const auto& [value, gate] : in.pending) stream.add(value, gate);
  const auto y = stream.normed(in.norm, in.modulation);
  EXPECT_EQ(y.scalar_type(), type);
  EXPECT_LT(relative_error(exact(y), in.normed), tolerance(type));
  EXPECT_LT(relative_error(exact(stream.tokens()), in.sum), 1e-6);
}

TEST_P(CudaStream, TokensHandedOutStayAsTheyWere) {
  SKIP_WITHOUT_GPU();
  const at::NoGradGuard no_grad;
  const auto& [of, type] = GetParam();
  ops::ResidualStream stream(at::zeros({of.rows, of.tokens, of.width}, gpu()), type);
  const auto before = stream.tokens();
  stream.add(single(at::ones_like(before).to(type)), {});
  (void)stream.normed({}, {});
  EXPECT_TRUE((before == 0).all().item<bool>());
  EXPECT_TRUE((stream.tokens() == 1).all().item<bool>());
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaStream,
                         testing::Combine(testing::ValuesIn(test::stream_cases()),
                                          testing::Values(at::kFloat, at::kBFloat16)),
                         [](const auto& param) {
                           return std::get<0>(param.param).name + "_" +
                                  type_name(std::get<1>(param.param));
                         });

struct ProductShape {
  std::int64_t rows, in, out;
};

class CudaLinear : public testing::TestWithParam<std::tuple<ProductShape, at::ScalarType>> {};

TEST_P(CudaLinear, GeluOfBothKinds) {
  SKIP_WITHOUT_GPU();
  const at::NoGradGuard no_grad;
  at::manual_seed(53);
  const auto& [shape, type] = GetParam();
  const ops::Linear layer = ops::prepared(
      {at::randn({shape.out, shape.in}).to(gpu()), at::randn({shape.out}).to(gpu())}, type);
  ASSERT_TRUE(layer.weight.is_contiguous());
  const auto x = at::randn({2, shape.rows, shape.in}).to(gpu(), type);
  ASSERT_TRUE(ops::cuda::usable_for_gelu_tanh(layer, x));
  const auto product = at::matmul(exact(x), exact(layer.weight).t()) + exact(layer.bias);
  const auto tanh = ops::linear_gelu_tanh(layer, x);
  EXPECT_EQ(tanh.sizes(), product.sizes());
  EXPECT_LT(relative_error(exact(tanh), at::gelu(product, "tanh")), tolerance(type));
  EXPECT_LT(relative_error(exact(ops::linear_gelu_erf(layer, x)), at::gelu(product, "none")),
            2 * tolerance(type));
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, CudaLinear,
    testing::Combine(testing::Values(ProductShape{1, 1, 1}, ProductShape{5, 32, 17},
                                     ProductShape{49, 192, 768}, ProductShape{98, 65, 31},
                                     ProductShape{256, 1152, 4608}),
                     testing::Values(at::kFloat, at::kBFloat16)),
    [](const auto& param) {
      const ProductShape& shape = std::get<0>(param.param);
      return fmt::format("{}x{}x{}_{}", shape.rows, shape.in, shape.out,
                         type_name(std::get<1>(param.param)));
    });

struct AttentionShape {
  std::int64_t rows, tokens, heads, size;
};

class CudaAttention : public testing::TestWithParam<std::tuple<AttentionShape, at::ScalarType>> {
 protected:
  void SetUp() override {
    SKIP_WITHOUT_GPU();
    at::manual_seed(54);
    const auto& [shape, type] = GetParam();
    width = shape.heads * shape.size;
    qkv = (2 * at::randn({shape.rows, shape.tokens, 3 * width})).to(gpu(), type);
    const auto split = exact(qkv)
                           .view({shape.rows, shape.tokens, 3, shape.heads, shape.size})
                           .permute({2, 0, 3, 1, 4});
    const auto scores =
        at::matmul(split[0], split[1].transpose(2, 3)) / std::sqrt(static_cast<double>(shape.size));
    expected = at::matmul(scores.softmax(-1), split[2]);
  }
  const at::NoGradGuard no_grad;
  std::int64_t width = 0;
  at::Tensor qkv, expected;  // expected [N, heads, T, head size]
};

TEST_P(CudaAttention, EqualsSoftmaxOfScoresTimesValues) {
  const auto& [shape, type] = GetParam();
  ASSERT_TRUE(ops::cuda::usable(qkv));
  const auto y = ops::self_attention(qkv, static_cast<int>(shape.heads));
  EXPECT_EQ(y.scalar_type(), type);
  const auto flat = expected.transpose(1, 2).reshape({shape.rows, shape.tokens, width});
  EXPECT_LT(relative_error(exact(y), flat), tolerance(type));
  test::expect_equal(ops::self_attention(qkv, static_cast<int>(shape.heads)), y, "once more");
}

// Whichever is chosen on another GPU must be right, too.
TEST_P(CudaAttention, EveryKernelThatCanDoItIsRight) {
  const auto& [shape, type] = GetParam();
  const auto split = qkv.view({shape.rows, shape.tokens, 3, shape.heads, shape.size})
                         .permute({2, 0, 3, 1, 4})
                         .unbind(0);
  int able = 0;
  for (const auto& kernel : ops::cuda::attention_kernels()) {
    at::Tensor y;
    try {
      y = kernel.run(split[0], split[1], split[2]);
    } catch (const c10::Error&) {
      continue;
    }
    ++able;
    EXPECT_LT(relative_error(exact(y), expected), tolerance(type)) << kernel.name;
  }
  EXPECT_GE(able, 1);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, CudaAttention,
    testing::Combine(testing::Values(AttentionShape{1, 1, 1, 8}, AttentionShape{2, 49, 3, 32},
                                     AttentionShape{17, 5, 2, 64}, AttentionShape{1, 256, 16, 72},
                                     AttentionShape{2, 77, 3, 80}, AttentionShape{3, 33, 2, 7},
                                     AttentionShape{1, 130, 1, 64}),
                     testing::Values(at::kFloat, at::kBFloat16)),
    [](const auto& param) {
      const AttentionShape& shape = std::get<0>(param.param);
      return fmt::format("{}x{}x{}x{}_{}", shape.rows, shape.tokens, shape.heads, shape.size,
                         type_name(std::get<1>(param.param)));
    });

// The part of the choice that every build has: nothing of it touches tensors on the CPU, and
// gradients and autocast keep LibTorch's own operations.
TEST(CudaOperations, LeaveTensorsOnTheCpuAlone) {
  const at::NoGradGuard no_grad;
  const auto x = at::zeros({1, 2, 4});
  EXPECT_FALSE(ops::cuda::usable(x, {}));
  EXPECT_FALSE(ops::cuda::usable(x, {}, {}, {}, at::kFloat));
  EXPECT_FALSE(ops::cuda::usable(at::zeros({1, 2, 12})));
  EXPECT_FALSE(ops::cuda::usable_for_gelu_tanh({at::zeros({3, 4}), at::zeros({3})}, x));
}

}  // namespace
}  // namespace l2c
