// Each CPU kernel against its ATen reference in fp64, over odd shapes. ctest runs this program once
// for every instruction set that the processor has (L2C_CPU_ISA).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "l2c/core/error.h"
#include "l2c/ops/attention.h"
#include "l2c/ops/cpu_isa.h"
#include "l2c/ops/linear.h"
#include "l2c/ops/residual_stream.h"
#include "support/golden.h"

namespace l2c {
namespace {

using test::relative_error;

// One rounding to bf16 is 2^-9; sums are fp32 in either type.
double tolerance(at::ScalarType type) { return type == at::kFloat ? 2e-6 : 5e-3; }

std::string type_name(at::ScalarType type) { return type == at::kFloat ? "fp32" : "bf16"; }

struct ProductShape {
  std::int64_t rows, in, out;
};

class PackedLinear : public ::testing::TestWithParam<std::tuple<ProductShape, at::ScalarType>> {
 protected:
  void SetUp() override {
    at::manual_seed(31);
    const auto& [shape, type] = GetParam();
    dtype = type;
    layer = {at::randn({shape.out, shape.in}), at::randn({shape.out})};
    x = at::randn({shape.rows, shape.in}).to(type);
  }
  // With the weight that the packed layer rounds to.
  at::Tensor reference() const {
    return at::matmul(x.to(at::kDouble), layer.weight.to(dtype).to(at::kDouble).t()) +
           layer.bias.to(at::kDouble);
  }
  const at::NoGradGuard no_grad;
  at::ScalarType dtype = at::kFloat;
  ops::Linear layer;
  at::Tensor x;
};

TEST_P(PackedLinear, EqualsTheDenseProduct) {
  const auto packed = ops::prepared(layer, dtype);
  EXPECT_FALSE(packed.weight.defined());
  const auto y = ops::linear(packed, x);
  EXPECT_EQ(y.scalar_type(), dtype);
  EXPECT_LT(relative_error(y, reference()), tolerance(dtype));
  const auto exact = ops::linear_to_fp32(packed, x);
  EXPECT_EQ(exact.scalar_type(), at::kFloat);
  EXPECT_LT(relative_error(exact, reference()), tolerance(at::kFloat));
}

TEST_P(PackedLinear, WithoutBias) {
  const auto y = ops::linear_to_fp32(ops::prepared({layer.weight, {}}, dtype), x);
  EXPECT_LT(relative_error(y, reference() - layer.bias.to(at::kDouble)), tolerance(at::kFloat));
}

TEST_P(PackedLinear, GeluOfBothKinds) {
  const auto packed = ops::prepared(layer, dtype);
  EXPECT_LT(relative_error(ops::linear_gelu_tanh(packed, x), at::gelu(reference(), "tanh")),
            tolerance(dtype));
  EXPECT_LT(relative_error(ops::linear_gelu_erf(packed, x), at::gelu(reference(), "none")),
            tolerance(dtype));
}

TEST_P(PackedLinear, ARowIsTheSameWhateverStandsBesideIt) {
  const auto packed = ops::prepared(layer, dtype);
  const auto together = ops::linear(packed, x);
  for (std::int64_t row = 0; row < x.size(0); ++row) {
    test::expect_equal(ops::linear(packed, x.narrow(0, row, 1)), together.narrow(0, row, 1), "row");
  }
}

TEST_P(PackedLinear, WritesWhereItIsTold) {
  const auto packed = ops::prepared(layer, dtype);
  auto memory = at::full({x.size(0) + 2, layer.weight.size(0)}, 7, x.options());
  const auto out = memory.narrow(0, 1, x.size(0));
  EXPECT_EQ(ops::linear(packed, x, out).data_ptr(), out.data_ptr());
  test::expect_equal(out.contiguous(), ops::linear(packed, x), "out");
  EXPECT_TRUE((memory[0] == 7).all().item<bool>()) << "wrote before its memory";
  EXPECT_TRUE((memory[x.size(0) + 1] == 7).all().item<bool>()) << "wrote behind its memory";
}

TEST_P(PackedLinear, TakesRowsWithGaps) {
  const auto packed = ops::prepared(layer, dtype);
  auto wide = at::randn({x.size(0), x.size(1) + 3}).to(dtype);
  wide.narrow(1, 0, x.size(1)).copy_(x);
  test::expect_equal(ops::linear(packed, wide.narrow(1, 0, x.size(1))), ops::linear(packed, x),
                     "strided");
}

std::string name_of_product(
    const ::testing::TestParamInfo<std::tuple<ProductShape, at::ScalarType>>& parameters) {
  const ProductShape& shape = std::get<0>(parameters.param);
  return fmt::format("{}x{}x{}_{}", shape.rows, shape.in, shape.out,
                     type_name(std::get<1>(parameters.param)));
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, PackedLinear,
    ::testing::Combine(::testing::Values(ProductShape{1, 1, 1}, ProductShape{2, 7, 5},
                                         ProductShape{5, 32, 17}, ProductShape{6, 64, 64},
                                         ProductShape{13, 33, 130}, ProductShape{49, 192, 576},
                                         ProductShape{98, 65, 31}, ProductShape{200, 129, 96},
                                         ProductShape{3, 1152, 48}),
                       ::testing::Values(at::kFloat, at::kBFloat16)),
    name_of_product);

TEST(PackedLinear, NotANumberStaysOne) {
  const at::NoGradGuard no_grad;
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    const auto packed = ops::prepared({at::ones({5, 6}), at::zeros({5})}, type);
    auto x = at::ones({7, 6}).to(type);
    x[3][2] = std::numeric_limits<float>::quiet_NaN();
    for (const auto& y : {ops::linear(packed, x), ops::linear_gelu_tanh(packed, x)}) {
      const auto bad = y.isnan().any(1);
      EXPECT_TRUE(bad[3].item<bool>());
      EXPECT_EQ(bad.sum().item<std::int64_t>(), 1) << "in the other rows";
    }
  }
}

TEST(PackedLinear, RefusesGradientsAndOtherTypes) {
  const ops::Linear layer{at::ones({2, 2}), at::zeros({2})};
  const auto packed = ops::prepared(layer, at::kFloat);
  EXPECT_THROW((void)ops::linear(packed, at::ones({1, 2})), Error);
  EXPECT_THROW((void)ops::prepared(layer, at::kDouble), Error);
  const at::NoGradGuard no_grad;
  EXPECT_THROW((void)ops::linear(packed, at::ones({1, 3})), Error);
}

TEST(PackedLinear, GeluOfLargeAndSmallValues) {
  const at::NoGradGuard no_grad;
  const auto x =
      at::cat({at::linspace(-30, 30, 601), at::tensor({-1e30F, 1e30F, 0.0F})}).view({-1, 1});
  const auto identity = ops::prepared({at::ones({1, 1}), at::zeros({1})}, at::kFloat);
  for (const auto& [y, kind] : {std::pair{ops::linear_gelu_tanh(identity, x), "tanh"},
                                std::pair{ops::linear_gelu_erf(identity, x), "none"}}) {
    const auto expected = at::gelu(x.to(at::kDouble), kind);
    const auto error = (y.to(at::kDouble) - expected).abs() / expected.abs().clamp_min(1);
    EXPECT_LT(error.max().item<double>(), 1e-6) << kind;
  }
}

struct AttentionShape {
  std::int64_t rows, tokens, heads, size;
};

class AttentionKernel
    : public ::testing::TestWithParam<std::tuple<AttentionShape, at::ScalarType>> {};

TEST_P(AttentionKernel, EqualsSoftmaxOfScoresTimesValues) {
  const at::NoGradGuard no_grad;
  at::manual_seed(32);
  const auto& [shape, type] = GetParam();
  const auto width = shape.heads * shape.size;
  const auto qkv = (2 * at::randn({shape.rows, shape.tokens, 3 * width})).to(type);
  const auto y = ops::self_attention(qkv, static_cast<int>(shape.heads));
  const auto split = qkv.to(at::kDouble)
                         .view({shape.rows, shape.tokens, 3, shape.heads, shape.size})
                         .permute({2, 0, 3, 1, 4});
  const auto scores =
      at::matmul(split[0], split[1].transpose(2, 3)) / std::sqrt(static_cast<double>(shape.size));
  const auto expected = at::matmul(scores.softmax(-1), split[2])
                            .transpose(1, 2)
                            .reshape({shape.rows, shape.tokens, width});
  EXPECT_EQ(y.scalar_type(), type);
  EXPECT_LT(relative_error(y, expected), tolerance(type));
}

std::string name_of_attention(
    const ::testing::TestParamInfo<std::tuple<AttentionShape, at::ScalarType>>& parameters) {
  const AttentionShape& shape = std::get<0>(parameters.param);
  return fmt::format("{}x{}x{}x{}_{}", shape.rows, shape.tokens, shape.heads, shape.size,
                     type_name(std::get<1>(parameters.param)));
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, AttentionKernel,
    ::testing::Combine(::testing::Values(AttentionShape{1, 1, 1, 8}, AttentionShape{2, 49, 3, 32},
                                         AttentionShape{17, 5, 2, 64},
                                         AttentionShape{1, 256, 2, 72},
                                         AttentionShape{2, 77, 3, 80}, AttentionShape{3, 33, 2, 7},
                                         AttentionShape{1, 130, 1, 64}),
                       ::testing::Values(at::kFloat, at::kBFloat16)),
    name_of_attention);

TEST(AttentionKernel, LargeScoresDoNotOverflow) {
  const at::NoGradGuard no_grad;
  at::manual_seed(33);
  const auto qkv = 100 * at::randn({1, 20, 3 * 16});
  const auto y = ops::self_attention(qkv, 1);
  const auto parts = qkv.to(at::kDouble).view({20, 3, 16}).unbind(1);
  const auto expected = at::matmul((at::matmul(parts[0], parts[1].t()) / 4).softmax(-1), parts[2]);
  EXPECT_LT(relative_error(y[0], expected), 1e-5);
}

// With AMX most rows do without the shift by the largest score; those that cannot are done again.
TEST(AttentionKernel, LargeAndSmallScoresSideBySideInBf16) {
  const at::NoGradGuard no_grad;
  at::manual_seed(35);
  constexpr std::int64_t tokens = 45, size = 64;
  auto qkv = at::randn({1, tokens, 3, 1, size});
  qkv.select(2, 0).mul_(at::logspace(-3, 3, tokens).view({1, tokens, 1, 1}));
  qkv = qkv.to(at::kBFloat16);
  const auto y = ops::self_attention(qkv.view({1, tokens, 3 * size}), 1)[0];
  const auto parts = qkv.to(at::kDouble).view({tokens, 3, size}).unbind(1);
  const auto expected = at::matmul((at::matmul(parts[0], parts[1].t()) / 8).softmax(-1), parts[2]);
  EXPECT_TRUE(y.isfinite().all().item<bool>());
  EXPECT_LT(relative_error(y, expected), tolerance(at::kBFloat16));
  for (std::int64_t row = 0; row < tokens; ++row) {
    EXPECT_LT(relative_error(y[row], expected[row]), 2e-2) << "row " << row;
  }
}

struct StreamShape {
  std::int64_t rows, tokens, width;
};

class StreamKernel : public ::testing::TestWithParam<std::tuple<StreamShape, at::ScalarType>> {};

// x + g1 b1 + 0.5 g2 b2 + b3 (no gate), then LayerNorm and modulation.
TEST_P(StreamKernel, AddsWhatIsPendingAndNormalises) {
  const at::NoGradGuard no_grad;
  at::manual_seed(34);
  const auto& [shape, type] = GetParam();
  const auto value = [&, &s = shape, &t = type] {
    return at::randn({s.rows, s.tokens, s.width}).to(t);
  };
  // Parts of one wide tensor, as a model's modulations are.
  const auto wide = at::randn({shape.rows, 4 * shape.width});
  const auto part = wide.split(shape.width, 1);
  const auto x = 3 + at::randn({shape.rows, shape.tokens, shape.width});
  const auto first = value(), second = value(), third = value();
  const auto sum = x.to(at::kDouble) + part[0].unsqueeze(1) * first.to(at::kDouble) +
                   0.5 * part[1].unsqueeze(1) * second.to(at::kDouble) + third.to(at::kDouble);
  for (const bool affine : {false, true}) {
    ops::Norm norm;
    if (affine) norm = {1e-5, at::randn({shape.width}), at::randn({shape.width})};
    ops::ResidualStream stream(x.clone(), type);
    stream.add(single(first), part[0]);
    stream.add(BranchValue{Term{second, 0.5F}}, part[1]);
    stream.add(single(third), {});
    const auto y = stream.normed(norm, {part[2], part[3]});
    EXPECT_EQ(y.scalar_type(), type);
    auto expected = (sum - sum.mean(-1, true)) / (sum.var(-1, false, true) + norm.eps).sqrt();
    if (affine) expected = expected * norm.weight + norm.bias;
    expected = expected * (1 + part[3].unsqueeze(1)) + part[2].unsqueeze(1);
    EXPECT_LT(relative_error(y, expected), tolerance(type)) << (affine ? "affine" : "plain");
    EXPECT_LT(relative_error(stream.tokens(), sum), 2e-7);
  }
}

// Forecasts: up to more terms than are read at once, some of the other type.
TEST_P(StreamKernel, AddsForecastsOfAnyNumberOfTerms) {
  const at::NoGradGuard no_grad;
  at::manual_seed(36);
  const auto& [shape, type] = GetParam();
  const auto gate = at::randn({shape.rows, shape.width});
  const auto x = at::randn({shape.rows, shape.tokens, shape.width});
  for (int terms = 1; terms <= 9; ++terms) {
    for (const int other : {-1, 0, 1, 5}) {  // which term has the other type
      BranchValue value;
      auto sum = at::zeros_like(x, at::kDouble);
      for (int k = 0; k < terms; ++k) {
        const auto its = k != other ? type : type == at::kFloat ? at::kBFloat16 : at::kFloat;
        const float weight = 1.5F - 0.75F * static_cast<float>(k);
        value.push_back({at::randn_like(x).to(its), weight});
        sum += weight * value.back().value.to(at::kDouble);
      }
      for (const bool gated : {false, true}) {
        ops::ResidualStream stream(x.clone(), type);
        stream.add(value, gated ? gate : at::Tensor());
        const auto expected = x.to(at::kDouble) + (gated ? gate.unsqueeze(1) * sum : sum);
        EXPECT_LT(relative_error(stream.tokens(), expected), 4e-7)
            << terms << " terms, " << other << " of the other type, gated: " << gated;
      }
    }
  }
}

TEST_P(StreamKernel, TokensHandedOutStayAsTheyWere) {
  const at::NoGradGuard no_grad;
  const auto& [shape, type] = GetParam();
  ops::ResidualStream stream(at::zeros({shape.rows, shape.tokens, shape.width}), type);
  const auto before = stream.tokens();
  stream.add(single(at::ones_like(before).to(type)), {});
  (void)stream.normed({}, {});
  EXPECT_TRUE((before == 0).all().item<bool>());
  EXPECT_TRUE((stream.tokens() == 1).all().item<bool>());
}

std::string name_of_stream(
    const ::testing::TestParamInfo<std::tuple<StreamShape, at::ScalarType>>& parameters) {
  const StreamShape& shape = std::get<0>(parameters.param);
  return fmt::format("{}x{}x{}_{}", shape.rows, shape.tokens, shape.width,
                     type_name(std::get<1>(parameters.param)));
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, StreamKernel,
    ::testing::Combine(::testing::Values(StreamShape{1, 1, 2}, StreamShape{2, 49, 192},
                                         StreamShape{17, 3, 33}, StreamShape{3, 5, 72},
                                         StreamShape{1, 256, 1152}),
                       ::testing::Values(at::kFloat, at::kBFloat16)),
    name_of_stream);

TEST(CpuIsa, IsTheOneAskedForOrTheBest) {
  const char* const asked = std::getenv("L2C_CPU_ISA");
  if (asked != nullptr) {
    EXPECT_EQ(ops::name(ops::cpu_isa()), asked);
  } else {
    EXPECT_FALSE(ops::name(ops::cpu_isa()).empty());
  }
}

}  // namespace
}  // namespace l2c
