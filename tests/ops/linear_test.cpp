#include "l2c/ops/linear.h"

#include <gtest/gtest.h>

#include "support/golden.h"

namespace l2c {
namespace {

struct Shape {
  std::vector<std::int64_t> x;
  std::int64_t out;
};

class LinearShapes : public ::testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    at::manual_seed(11);
    x = at::randn(GetParam().x);
    layer = {at::randn({GetParam().out, x.size(-1)}), at::randn({GetParam().out})};
  }
  at::Tensor x;
  ops::Linear layer;
};

TEST_P(LinearShapes, EqualsXTimesWTransposedPlusB) {
  const auto expected = at::matmul(x, layer.weight.t()) + layer.bias;
  test::expect_close(ops::linear(layer, x), expected, 1e-6, "linear");
}

TEST_P(LinearShapes, NoBias) {
  const ops::Linear plain{layer.weight, {}};
  test::expect_close(ops::linear(plain, x), at::matmul(x, layer.weight.t()), 1e-6, "linear");
}

TEST_P(LinearShapes, OutGivesTheSameBitsInTheGivenMemory) {
  for (const ops::Linear& l : {layer, ops::Linear{layer.weight, {}}}) {
    const auto expected = ops::linear(l, x);
    auto out = at::full_like(expected, 7);
    const auto returned = ops::linear(l, x, out);
    EXPECT_EQ(returned.data_ptr(), out.data_ptr());
    test::expect_equal(out, expected, "out");
  }
}

TEST_P(LinearShapes, GeluWithAndWithoutGradients) {
  const auto expected = at::gelu(at::matmul(x, layer.weight.t()) + layer.bias, "tanh");
  const auto with = ops::linear_gelu_tanh(layer, x);
  test::expect_close(with, expected, 1e-6, "linear_gelu_tanh");
  const at::NoGradGuard no_grad;
  test::expect_equal(ops::linear_gelu_tanh(layer, x), with, "without gradients");
}

INSTANTIATE_TEST_SUITE_P(Shapes, LinearShapes,
                         ::testing::Values(Shape{{3, 7}, 5}, Shape{{2, 1, 7}, 130},
                                           Shape{{2, 49, 130}, 7}, Shape{{1, 49, 64}, 192}));

TEST(Linear, GradientsFlow) {
  at::manual_seed(12);
  const auto x = at::randn({2, 5, 7}).requires_grad_();
  const ops::Linear layer{at::randn({6, 7}).requires_grad_(), at::randn({6}).requires_grad_()};
  ops::linear_gelu_tanh(layer, x).square().sum().backward();
  const std::vector<at::Tensor> actual{x.grad().clone(), layer.weight.grad().clone(),
                                       layer.bias.grad().clone()};
  for (const auto& leaf : {x, layer.weight, layer.bias}) leaf.mutable_grad().reset();
  at::gelu(at::matmul(x, layer.weight.t()) + layer.bias, "tanh").square().sum().backward();
  test::expect_close(actual[0], x.grad(), 1e-5, "linear_gelu_tanh gradients");
  test::expect_close(actual[1], layer.weight.grad(), 1e-5, "linear_gelu_tanh gradients");
  test::expect_close(actual[2], layer.bias.grad(), 1e-5, "linear_gelu_tanh gradients");
}

TEST(Linear, TakesStridedInput) {
  at::manual_seed(13);
  const auto x = at::randn({2, 7, 5}).transpose(1, 2);
  const ops::Linear layer{at::randn({6, 7}), at::randn({6})};
  test::expect_close(ops::linear(layer, x), ops::linear(layer, x.contiguous()), 1e-6, "linear");
}

}  // namespace
}  // namespace l2c
