// The fused branches of a transformer block give the bits of their operations one after another.
#include "l2c/ops/branches.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "l2c/core/error.h"
#include "l2c/ops/attention.h"
#include "support/golden.h"

namespace l2c {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

struct BranchShape {
  std::int64_t samples, tokens, heads, size, hidden;
};

ops::Linear random_layer(std::int64_t out, std::int64_t in) {
  return {at::randn({out, in}) * 0.2, at::randn({out})};
}

class Branches : public ::testing::TestWithParam<std::tuple<BranchShape, at::ScalarType, int>> {
 protected:
  void SetUp() override {
    const auto& [shape, type, threads] = GetParam();
    at::set_num_threads(threads);
    at::manual_seed(41);
    const std::int64_t width = shape.heads * shape.size;
    heads = static_cast<int>(shape.heads);
    qkv = ops::prepared(random_layer(3 * width, width), type);
    proj = ops::prepared(random_layer(width, width), type);
    fc1 = ops::prepared(random_layer(shape.hidden, width), type);
    fc2 = ops::prepared(random_layer(width, shape.hidden), type);
    x = at::randn({shape.samples, shape.tokens, width}).to(type);
  }
  void TearDown() override { at::set_num_threads(1); }
  at::Tensor attention_in_steps() const {
    return ops::linear(proj, ops::self_attention(ops::linear(qkv, x), heads));
  }

  const at::NoGradGuard no_grad;
  int heads = 1;
  ops::Linear qkv, proj, fc1, fc2;
  at::Tensor x;
};

TEST_P(Branches, AttentionIsItsThreeOperations) {
  test::expect_equal(ops::attention_branch(qkv, proj, heads, x), attention_in_steps(), "attention");
}

TEST_P(Branches, MlpIsItsTwoOperations) {
  test::expect_equal(ops::mlp_branch(fc1, fc2, ops::Gelu::tanh, x),
                     ops::linear(fc2, ops::linear_gelu_tanh(fc1, x)), "tanh");
  test::expect_equal(ops::mlp_branch(fc1, fc2, ops::Gelu::erf, x),
                     ops::linear(fc2, ops::linear_gelu_erf(fc1, x)), "erf");
}

TEST_P(Branches, WriteWhereTheyAreTold) {
  const auto out = at::zeros_like(x);
  EXPECT_EQ(ops::attention_branch(qkv, proj, heads, x, out).data_ptr(), out.data_ptr());
  test::expect_equal(out, attention_in_steps(), "attention");
  EXPECT_EQ(ops::mlp_branch(fc1, fc2, ops::Gelu::tanh, x, out).data_ptr(), out.data_ptr());
  test::expect_equal(out, ops::mlp_branch(fc1, fc2, ops::Gelu::tanh, x), "mlp");
}

TEST_P(Branches, TakeInputsThatAreNotContiguous) {
  const auto wide = at::zeros({x.size(0), x.size(1), x.size(2) + 3}, x.options());
  wide.narrow(2, 0, x.size(2)).copy_(x);
  const auto strided = wide.narrow(2, 0, x.size(2));
  test::expect_equal(ops::attention_branch(qkv, proj, heads, strided), attention_in_steps(),
                     "attention");
  test::expect_equal(ops::mlp_branch(fc1, fc2, ops::Gelu::tanh, strided),
                     ops::mlp_branch(fc1, fc2, ops::Gelu::tanh, x), "mlp");
}

std::string name_of_branches(
    const ::testing::TestParamInfo<std::tuple<BranchShape, at::ScalarType, int>>& parameters) {
  const BranchShape& shape = std::get<0>(parameters.param);
  return fmt::format("{}x{}x{}x{}_{}_{}threads", shape.samples, shape.tokens, shape.heads,
                     shape.size, std::get<1>(parameters.param) == at::kFloat ? "fp32" : "bf16",
                     std::get<2>(parameters.param));
}

INSTANTIATE_TEST_SUITE_P(Shapes, Branches,
                         ::testing::Combine(::testing::Values(BranchShape{1, 1, 1, 8, 5},
                                                              BranchShape{2, 49, 3, 32, 384},
                                                              BranchShape{17, 5, 2, 64, 31},
                                                              BranchShape{3, 77, 2, 72, 576},
                                                              BranchShape{1, 700, 2, 40, 320}),
                                            ::testing::Values(at::kFloat, at::kBFloat16),
                                            ::testing::Values(1, 2, 5)),
                         name_of_branches);

TEST(Branches, OfPlainLayersAreDifferentiable) {
  at::manual_seed(42);
  const auto fc1 = random_layer(12, 8);
  const auto fc2 = random_layer(8, 12);
  const auto x = at::randn({2, 3, 8}).requires_grad_();
  ops::mlp_branch(fc1, fc2, ops::Gelu::tanh, x).sum().backward();
  EXPECT_GT(x.grad().abs().sum().item<double>(), 0);
  const auto packed = ops::prepared(fc1, at::kFloat);
  EXPECT_THAT([&] { (void)ops::mlp_branch(packed, packed, ops::Gelu::tanh, x); },
              ThrowsMessage<Error>(HasSubstr("load it unprepared")));
}

TEST(Branches, OfLayersThatDoNotFitAreRefused) {
  const at::NoGradGuard no_grad;
  const auto layer = [](std::int64_t out, std::int64_t in) {
    return ops::prepared(random_layer(out, in), at::kFloat);
  };
  const auto x = at::randn({2, 3, 8});
  const auto fc1 = layer(12, 8), fc2 = layer(8, 12);
  const auto mlp = [&](const ops::Linear& second, const at::Tensor& out) {
    return [&, out] { (void)ops::mlp_branch(fc1, second, ops::Gelu::tanh, x, out); };
  };
  const auto other = layer(8, 11);
  EXPECT_THAT(mlp(other, {}), ThrowsMessage<Error>(HasSubstr("[12, 8] and [8, 11]")));
  EXPECT_THAT(mlp(fc2, at::zeros({2, 2, 8})),
              ThrowsMessage<Error>(HasSubstr("[2, 3, 8], but was to go to [2, 2, 8]")));
  const auto narrow = layer(16, 8), proj = layer(8, 8);
  EXPECT_THAT([&] { (void)ops::attention_branch(narrow, proj, 2, x); },
              ThrowsMessage<Error>(HasSubstr("[16, 8] and [8, 8]")));
  EXPECT_THAT([&] { (void)ops::linear(fc1, x, at::zeros({5, 12})); },
              ThrowsMessage<Error>(HasSubstr("6 rows of 12")));
}

}  // namespace
}  // namespace l2c
