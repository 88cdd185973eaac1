#include "l2c/ops/residual_stream.h"

#include <gtest/gtest.h>

#include "support/golden.h"

namespace l2c {
namespace {

constexpr std::int64_t rows = 3;

struct Shape {
  std::int64_t tokens, width;
};

class StreamShapes : public ::testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    at::manual_seed(41);
    const auto [tokens, width] = GetParam();
    for (int i = 0; i < 5; ++i) values.push_back(at::randn({rows, tokens, width}));
    for (int i = 0; i < 3; ++i) gates.push_back(at::randn({rows, width}));
    for (int i = 0; i < 2; ++i) modulation.push_back(at::randn({rows, width}));
  }
  // A gated branch, a forecast of two terms, one without a gate.
  [[nodiscard]] at::Tensor expected() const {
    return values[0] + gates[0].unsqueeze(1) * values[1] +
           gates[1].unsqueeze(1) * (1.5F * values[2] - 0.5F * values[3]) + 2.0F * values[4];
  }
  void add_all(ops::ResidualStream& stream) const {
    stream.add({{values[1]}}, gates[0]);
    stream.add({{values[2], 1.5F}, {values[3], -0.5F}}, gates[1]);
    stream.add({{values[4], 2.0F}}, {});
  }
  std::vector<at::Tensor> values, gates, modulation;
};

TEST_P(StreamShapes, AddsGatedWeightedBranches) {
  ops::ResidualStream with_gradients(values[0].clone());
  add_all(with_gradients);
  const auto with = with_gradients.tokens();
  test::expect_close(with, expected(), 1e-6, "residual stream");
  at::Tensor without;
  {
    const at::NoGradGuard no_grad;
    ops::ResidualStream stream(values[0].clone());
    add_all(stream);
    without = stream.tokens();
    // The CPU kernel rounds gate * branch + tokens once, ATen twice.
    test::expect_close(without, with, 2e-7, "without gradients");
  }
  {
    const c10::InferenceMode inference;
    ops::ResidualStream stream(values[0].clone());
    add_all(stream);
    test::expect_equal(stream.tokens(), without, "inference mode");
  }
}

TEST_P(StreamShapes, NormedIsTheNormOfTheTokensSoFar) {
  const at::NoGradGuard no_grad;
  ops::ResidualStream stream(values[0].clone());
  add_all(stream);
  const auto normed = stream.normed({}, {modulation[0], modulation[1]});
  const auto plain = at::layer_norm(expected(), {GetParam().width}, {}, {}, 1e-6) *
                         (1 + modulation[1].unsqueeze(1)) +
                     modulation[0].unsqueeze(1);
  test::expect_close(normed, plain, 2e-6, "residual stream, normed");
  test::expect_close(stream.tokens(), expected(), 1e-6, "residual stream");
}

TEST_P(StreamShapes, TokensHandedOutStayAsTheyAre) {
  const at::NoGradGuard no_grad;
  ops::ResidualStream stream(values[0].clone());
  const auto first = stream.tokens();
  add_all(stream);
  const auto second = stream.tokens();
  const auto kept = second.clone();
  add_all(stream);
  stream.normed({}, {});
  test::expect_equal(first, values[0], "handed out before the additions");
  test::expect_equal(second, kept, "handed out between the additions");
}

TEST_P(StreamShapes, ValuesAndGatesStayAsTheyAre) {
  const at::NoGradGuard no_grad;
  const auto before = values[1].clone();
  ops::ResidualStream stream(values[0].clone());
  add_all(stream);
  add_all(stream);
  stream.tokens();
  test::expect_equal(values[1], before, "a stored branch");
}

TEST_P(StreamShapes, ReplacedTokensAreNotWritten) {
  const at::NoGradGuard no_grad;
  ops::ResidualStream stream(values[0].clone());
  stream.add({{values[1]}}, gates[0]);
  const auto mine = values[2].clone();
  stream.replace(mine);
  test::expect_equal(stream.tokens(), values[2], "what was pending is dropped");
  stream.add({{values[3]}}, gates[1]);
  const auto sum = values[2] + gates[1].unsqueeze(1) * values[3];
  test::expect_close(stream.tokens(), sum, 1e-6, "residual stream");
  test::expect_equal(mine, values[2], "the tokens given");
}

TEST_P(StreamShapes, GradientsFlow) {
  std::vector<at::Tensor> leaves{values[0], values[1], values[2], values[3],
                                 values[4], gates[0],  gates[1]};
  for (auto& leaf : leaves) leaf.requires_grad_();
  const auto weights = at::randn_like(values[0]);
  ops::ResidualStream stream(values[0] * 1);
  add_all(stream);
  (stream.tokens() * weights).sum().backward();
  std::vector<at::Tensor> actual;
  for (auto& leaf : leaves) {
    actual.push_back(leaf.grad().clone());
    leaf.mutable_grad().reset();
  }
  (expected() * weights).sum().backward();
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    test::expect_close(actual[i], leaves[i].grad(), 1e-5, "residual stream gradients");
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, StreamShapes,
                         ::testing::Values(Shape{1, 7}, Shape{49, 130}, Shape{49, 7},
                                           Shape{16, 64}));

TEST(ResidualStream, AddsInTheOrderGiven) {
  // 1e8 + 1 is 1e8 in fp32: only the order (x + 1e8) - 1e8 loses the 1.
  const at::NoGradGuard no_grad;
  const auto big = at::full({1, 1, 4}, 1e8F);
  ops::ResidualStream stream(at::ones({1, 1, 4}));
  stream.add({{big}}, {});
  stream.add({{big, -1.0F}}, {});
  test::expect_equal(stream.tokens(), at::zeros({1, 1, 4}), "(1 + 1e8) - 1e8");
}

TEST(ResidualStream, WritesInPlaceOnlyWhereAllowed) {
  const auto value = at::ones({1, 1, 4});
  at::Tensor tokens = at::zeros({1, 1, 4});
  {
    const at::NoGradGuard no_grad;
    ops::ResidualStream stream(tokens);
    stream.add({{value}}, {});
    EXPECT_EQ(stream.tokens().data_ptr(), tokens.data_ptr());
  }
  ops::ResidualStream stream(tokens);
  stream.add({{value}}, {});
  EXPECT_NE(stream.tokens().data_ptr(), tokens.data_ptr());
}

TEST(ResidualStream, TakesTokensMadeInInferenceModeOutsideOfIt) {
  at::Tensor tokens;
  {
    const c10::InferenceMode inference;
    tokens = at::zeros({1, 1, 4});
  }
  const at::NoGradGuard no_grad;
  ops::ResidualStream stream(tokens);
  stream.add({{at::ones({1, 1, 4})}}, {});
  test::expect_equal(stream.tokens(), at::ones({1, 1, 4}), "sum");
}

}  // namespace
}  // namespace l2c
