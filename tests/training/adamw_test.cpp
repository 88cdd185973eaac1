#include "l2c/training/adamw.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "l2c/core/error.h"
#include "support/golden.h"

namespace l2c {
namespace {

at::Tensor leaf(double value) { return at::full({2}, value, at::kFloat).requires_grad_(true); }

// One parameter by the textbook, in double.
struct ByHand {
  double x, m = 0, v = 0;
  int t = 0;
  void step(double g, double lr, const AdamWOptions& o) {
    ++t;
    x -= lr * o.weight_decay * x;
    m = o.beta1 * m + (1 - o.beta1) * g;
    v = o.beta2 * v + (1 - o.beta2) * g * g;
    const double m_hat = m / (1 - std::pow(o.beta1, t));
    const double v_hat = v / (1 - std::pow(o.beta2, t));
    x -= lr * m_hat / (std::sqrt(v_hat) + o.eps);
  }
};

TEST(AdamW, MatchesTheTextbook) {
  const AdamWOptions options{.beta1 = 0.8, .beta2 = 0.95, .eps = 1e-3, .weight_decay = 0.1};
  at::Tensor x = leaf(1.5);
  AdamW optimizer({{"x", x}}, options);
  ByHand by_hand{1.5};
  for (int i = 0; i < 20; ++i) {
    const double rate = 0.05 / (1 + i);
    (x.square().sum() * 0.5 + x.sin().sum()).backward();
    by_hand.step(by_hand.x + std::cos(by_hand.x), rate, options);
    optimizer.step(rate);
    EXPECT_NEAR(x[0].item<double>(), by_hand.x, 1e-5) << i;
  }
}

TEST(AdamW, LeavesParametersWithoutGradientAlone) {
  at::Tensor used = leaf(1);
  at::Tensor unused = leaf(2);
  AdamW optimizer({{"used", used}, {"unused", unused}}, {.weight_decay = 0.5});
  used.sum().backward();
  optimizer.step(0.1);
  EXPECT_LT(used[0].item<float>(), 1);
  EXPECT_EQ(unused[0].item<float>(), 2);
  io::TensorMap state;
  optimizer.save_state(state, "opt");
  EXPECT_EQ(state.at("opt.used.step").item<float>(), 1);
  EXPECT_EQ(state.at("opt.unused.step").item<float>(), 0);
}

TEST(AdamW, DropsGradientsAfterAStep) {
  at::Tensor x = leaf(1);
  AdamW optimizer({{"x", x}}, {});
  x.sum().backward();
  optimizer.step(0.1);
  const at::Tensor after = x.detach().clone();
  optimizer.step(0.1);
  test::expect_equal(x.detach(), after, "a step without gradients");
}

TEST(AdamW, ClipScalesToTheNorm) {
  at::Tensor a = leaf(1);
  at::Tensor b = leaf(1);
  AdamW optimizer({{"a", a}, {"b", b}}, {});
  (a.sum() * 3 + b.sum() * 4).backward();
  const double norm = std::sqrt(2.0) * 5;
  EXPECT_NEAR(optimizer.clip(100), norm, 1e-5);
  EXPECT_EQ(a.grad()[0].item<float>(), 3);
  EXPECT_NEAR(optimizer.clip(1), norm, 1e-5);
  EXPECT_NEAR(a.grad()[0].item<double>(), 3 / norm, 1e-5);
  EXPECT_NEAR(b.grad()[0].item<double>(), 4 / norm, 1e-5);
}

TEST(AdamW, TheNormOfTheGradients) {
  at::Tensor a = leaf(1);
  at::Tensor b = leaf(1);
  AdamW optimizer({{"a", a}, {"b", b}}, {});
  EXPECT_EQ(optimizer.gradient_norm(), 0);
  (a.sum() * 3 + b.sum() * 4).backward();
  EXPECT_NEAR(optimizer.gradient_norm(), std::sqrt(2.0) * 5, 1e-5);
  EXPECT_EQ(a.grad()[0].item<float>(), 3);
  optimizer.clear_gradients();
  EXPECT_EQ(optimizer.gradient_norm(), 0);
}

TEST(AdamW, ClipLeavesANormThatIsNotFinite) {
  at::Tensor a = leaf(1);
  AdamW optimizer({{"a", a}}, {});
  (a[0] * 3 + a[1] * INFINITY).backward();
  EXPECT_TRUE(std::isinf(optimizer.clip(1)));
  EXPECT_EQ(a.grad()[0].item<float>(), 3);
}

TEST(AdamW, StateComesBackToTheSameBits) {
  const auto train = [](AdamW& optimizer, at::Tensor& x, int steps) {
    for (int i = 0; i < steps; ++i) {
      x.square().sum().backward();
      optimizer.step(0.01);
    }
  };
  at::Tensor whole = leaf(3);
  AdamW one({{"x", whole}}, {});
  train(one, whole, 7);

  at::Tensor first = leaf(3);
  AdamW two({{"x", first}}, {});
  train(two, first, 4);
  io::TensorMap state;
  two.save_state(state, "opt");
  at::Tensor second = first.detach().clone().requires_grad_(true);
  AdamW three({{"x", second}}, {});
  three.load_state(state, "opt");
  train(three, second, 3);
  test::expect_equal(second.detach(), whole.detach(), "resumed");
}

TEST(AdamW, RefusesAForeignState) {
  at::Tensor x = leaf(1);
  AdamW optimizer({{"x", x}}, {});
  EXPECT_THAT([&] { optimizer.load_state({}, "opt"); },
              testing::ThrowsMessage<InputError>(testing::HasSubstr("opt.x.exp_avg")));
  io::TensorMap state;
  optimizer.save_state(state, "opt");
  state["opt.x.exp_avg_sq"] = at::zeros({3});
  EXPECT_THAT([&] { optimizer.load_state(state, "opt"); },
              testing::ThrowsMessage<InputError>(testing::HasSubstr("[3] instead of [2]")));
}

}  // namespace
}  // namespace l2c
