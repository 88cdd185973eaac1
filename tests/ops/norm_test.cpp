#include "l2c/ops/norm.h"

#include <gtest/gtest.h>

#include "support/golden.h"

namespace l2c {
namespace {

at::Tensor plain_norm(const at::Tensor& x, const ops::Norm& norm) {
  const auto mean = x.mean(-1, true);
  const auto variance = (x - mean).square().mean(-1, true);
  auto y = (x - mean) / (variance + norm.eps).sqrt();
  if (norm.weight.defined()) y = y * norm.weight + norm.bias;
  return y;
}

at::Tensor plain(const at::Tensor& x, const ops::Norm& norm, const ops::Modulation& m) {
  return plain_norm(x, norm) * (1 + m.scale.unsqueeze(1)) + m.shift.unsqueeze(1);
}

struct Shape {
  std::int64_t rows, tokens, width;
};

class NormShapes : public ::testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    at::manual_seed(31);
    const auto [rows, tokens, width] = GetParam();
    x = at::randn({rows, tokens, width}) * 3 + 1;
    // Views into a wider tensor, as a model's modulations are.
    const auto all = at::randn({rows, 3 * width});
    modulation = {all.narrow(1, width, width), all.narrow(1, 2 * width, width)};
  }
  at::Tensor x;
  ops::Modulation modulation;
};

TEST_P(NormShapes, Modulated) {
  const auto expected = plain(x, {}, modulation);
  const auto before = x.clone();
  const auto with = ops::norm_modulate(x, {}, modulation);
  test::expect_close(with, expected, 1e-6, "norm_modulate");
  {
    const at::NoGradGuard no_grad;
    test::expect_equal(ops::norm_modulate(x, {}, modulation), with, "without gradients");
  }
  {
    const c10::InferenceMode inference;
    test::expect_equal(ops::norm_modulate(x, {}, modulation), with, "inference mode");
  }
  test::expect_equal(x, before, "the input is left as it is");
}

TEST_P(NormShapes, AffineWithoutModulation) {
  const auto width = x.size(2);
  const ops::Norm norm{1e-5, at::randn({width}), at::randn({width})};
  test::expect_close(ops::norm_modulate(x, norm, {}), plain_norm(x, norm), 1e-6, "norm affine");
}

TEST_P(NormShapes, GradientsFlow) {
  const auto leaf = x.clone().requires_grad_();
  const auto shift = modulation.shift.clone().requires_grad_();
  const auto scale = modulation.scale.clone().requires_grad_();
  const auto weights = at::randn_like(x);
  (ops::norm_modulate(leaf, {}, {shift, scale}) * weights).sum().backward();
  const std::vector<at::Tensor> actual{leaf.grad().clone(), shift.grad().clone(),
                                       scale.grad().clone()};
  for (const auto& t : {leaf, shift, scale}) t.mutable_grad().reset();
  (plain(leaf, {}, {shift, scale}) * weights).sum().backward();
  test::expect_close(actual[0], leaf.grad(), 2e-5, "norm_modulate gradients");
  test::expect_close(actual[1], shift.grad(), 2e-5, "norm_modulate gradients");
  test::expect_close(actual[2], scale.grad(), 2e-5, "norm_modulate gradients");
}

INSTANTIATE_TEST_SUITE_P(Shapes, NormShapes,
                         ::testing::Values(Shape{2, 1, 7}, Shape{3, 49, 130}, Shape{1, 49, 7},
                                           Shape{4, 16, 64}));

TEST(Norm, EpsilonCounts) {
  const auto x = at::tensor({1e-3F, -1e-3F, 1e-3F, -1e-3F}).view({1, 1, 4});
  const auto y = ops::norm_modulate(x, ops::Norm{3e-6, {}, {}}, {});
  // Variance 1e-6: 1e-3 / sqrt(4e-6).
  EXPECT_NEAR(y[0][0][0].item<float>(), 0.5, 1e-5);
}

}  // namespace
}  // namespace l2c
