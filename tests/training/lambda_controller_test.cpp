#include "lambda_controller.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "l2c/core/error.h"

namespace l2c {
namespace {

constexpr int rows = 10;
constexpr int units = 16;
constexpr double threshold = 0.1;
constexpr double clamp = 5;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// A router in training without a model: the error of a branch is quadratic in 1 - weight, its size
// spread over four decades, correlated with the other branches of its row and noisy.
class SimulatedTraining {
 public:
  SimulatedTraining(unsigned seed, double scale, double learning_rate)
      : generator_(seed), learning_rate_(learning_rate) {
    for (auto& row : rows_) {
      for (int u = 0; u < units; ++u) {
        row.size.push_back(std::sqrt(5e-5 * scale * std::exp(3.2 * normal())));
        row.logits.push_back(normal());
      }
      row.average.assign(units, 0);
      row.square.assign(units, 0);
    }
  }

  void iterate(LambdaController& controller) {
    const auto number = static_cast<int>(generator_() % rows);
    Row& row = rows_[static_cast<std::size_t>(number)];
    std::vector<double> weights, gradient;
    double all = 0;
    for (std::size_t u = 0; u < units; ++u) {
      weights.push_back(sigmoid(row.logits[u]));
      all += (1 - weights[u]) * row.size[u];
    }
    const double batch = std::exp(0.3 * normal());
    for (std::size_t u = 0; u < units; ++u) {
      const double own = (1 - weights[u]) * row.size[u];
      const double error = -2 * row.size[u] * (own + 0.05 * all * normal()) * batch;
      gradient.push_back((error + controller.lambda()) * weights[u] * (1 - weights[u]));
    }
    controller.observe(number, weights, gradient);
    adam(row, gradient);
    ++done_;
    controller.control(done_, speedup());
  }

  [[nodiscard]] static RouterPrice price() {
    RouterPrice price;
    double total = 0;
    for (int u = 0; u < units; ++u) {
      price.unit_macs.push_back(u % 2 == 0 ? 1 : 1.9);
      total += price.unit_macs.back();
    }
    price.full_macs = 2 * rows * 1.02 * total;
    price.cache_steps = rows;
    return price;
  }

  [[nodiscard]] double speedup() const {
    const auto price = SimulatedTraining::price();
    double saved = 0;
    for (const auto& row : rows_) {
      for (std::size_t u = 0; u < units; ++u) {
        if (sigmoid(row.logits[u]) <= threshold) saved += price.unit_macs[u];
      }
    }
    return price.speedup(saved);
  }

 private:
  struct Row {
    std::vector<double> size, logits, average, square;
    int steps = 0;
  };

  double normal() { return normal_(generator_); }

  void adam(Row& row, const std::vector<double>& gradient) {
    ++row.steps;
    for (std::size_t u = 0; u < units; ++u) {
      row.average[u] += 0.1 * (gradient[u] - row.average[u]);
      row.square[u] += 0.001 * (gradient[u] * gradient[u] - row.square[u]);
      const double average = row.average[u] / (1 - std::pow(0.9, row.steps));
      const double square = row.square[u] / (1 - std::pow(0.999, row.steps));
      row.logits[u] -= learning_rate_ * average / (std::sqrt(square) + 1e-8);
      row.logits[u] = std::clamp(row.logits[u], -clamp, clamp);
    }
  }

  std::mt19937 generator_;
  std::normal_distribution<double> normal_;
  std::vector<Row> rows_ = std::vector<Row>(rows);
  double learning_rate_;
  std::int64_t done_ = 0;
};

struct Case {
  double target, scale, learning_rate;
};

class MeetsItsTarget : public testing::TestWithParam<Case> {};

TEST_P(MeetsItsTarget, WhateverTheSizeOfTheErrors) {
  const auto [target, scale, learning_rate] = GetParam();
  for (unsigned seed = 0; seed < 3; ++seed) {
    SimulatedTraining training(seed, scale, learning_rate);
    LambdaController controller(SimulatedTraining::price(), target, threshold, learning_rate);
    const double logit = rows / learning_rate;  // iterations in which one can move by 1
    const auto limit = static_cast<int>(40 * logit);
    int iterations = 0;
    while (iterations < limit && !controller.settled()) {
      training.iterate(controller);
      ++iterations;
    }
    EXPECT_LT(iterations, limit) << seed;
    EXPECT_NEAR(training.speedup() / target, 1, 0.02) << seed;
    RecordProperty(fmt::format("logits_{}", seed), std::to_string(iterations / logit));
  }
}

INSTANTIATE_TEST_SUITE_P(Router, MeetsItsTarget,
                         testing::Values(Case{1.15, 1, 0.05}, Case{1.3, 1, 0.05},
                                         Case{1.5, 1, 0.05}, Case{1.3, 1e3, 0.05},
                                         Case{1.3, 1e-3, 0.05}, Case{1.3, 1, 0.01}));

TEST(LambdaController, RestoresToTheSameBits) {
  SimulatedTraining training(1, 1, 0.05);
  LambdaController controller(SimulatedTraining::price(), 1.3, threshold, 0.05);
  for (int i = 0; i < 1500; ++i) training.iterate(controller);
  ASSERT_GT(controller.lambda(), 0);
  LambdaController other(SimulatedTraining::price(), 1.3, threshold, 0.05);
  other.restore(controller.save());
  SimulatedTraining copy = training;
  for (int i = 0; i < 500; ++i) {
    training.iterate(controller);
    copy.iterate(other);
  }
  EXPECT_EQ(controller.lambda(), other.lambda());
  EXPECT_EQ(controller.save(), other.save());
  EXPECT_EQ(controller.settled(), other.settled());
  const std::vector<double> few(3);
  EXPECT_THAT([&] { other.restore(few); },
              testing::ThrowsMessage<InputError>(testing::HasSubstr("has 3 numbers instead of")));
}

TEST(LambdaController, WaitsUntilEveryRowWasSeen) {
  LambdaController controller(SimulatedTraining::price(), 1.3, threshold, 0.05);
  const std::vector<double> weights(units, 0.5), gradient(units, -1e-4);
  for (int i = 0; i < 100; ++i) {
    controller.observe(0, weights, gradient);
    controller.control(20, 1);
  }
  EXPECT_EQ(controller.lambda(), 0);
  for (int row = 1; row < rows; ++row) {
    for (int i = 0; i < 3; ++i) controller.observe(row, weights, gradient);
  }
  controller.control(21, 1);  // not due
  EXPECT_EQ(controller.lambda(), 0);
  controller.control(40, 1);
  // dE/dw = -1e-4 / 0.25; at the threshold, 0.9 / 0.5 times as much.
  EXPECT_NEAR(controller.lambda(), 7.2e-4, 1e-9);
}

}  // namespace
}  // namespace l2c
