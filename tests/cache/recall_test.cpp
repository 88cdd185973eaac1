#include "l2c/cache/recall.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "cache/support.h"
#include "l2c/core/error.h"

namespace l2c {
namespace {

using test::message_of;
using ::testing::DoubleNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;

std::vector<Moment> moments(const std::vector<int>& evaluations) {
  std::vector<Moment> made;
  for (const int evaluation : evaluations) made.push_back({evaluation, 0});
  return made;
}

double sum_of(const std::vector<double>& weights, const std::vector<double>& values) {
  double sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) sum += weights[i] * values[i];
  return sum;
}

// TaylorSeer as its authors run it: derivatives of one number are kept and renewed in every full
// step, the forecast is their series.
class Derivatives {
 public:
  explicit Derivatives(int order) : order_(order) {}
  void renew(int evaluation, double value) {
    std::vector<double> renewed = {value};
    for (int i = 0; i < order_ && i < static_cast<int>(factors_.size()); ++i) {
      const auto at = static_cast<std::size_t>(i);
      renewed.push_back((renewed[at] - factors_[at]) / (evaluation - evaluation_));
    }
    factors_ = renewed;
    evaluation_ = evaluation;
  }
  [[nodiscard]] double forecast(int evaluation) const {
    double sum = 0;
    for (std::size_t i = 0; i < factors_.size(); ++i) {
      const auto order = static_cast<double>(i);
      sum += factors_[i] * std::pow(evaluation - evaluation_, order) / std::tgamma(order + 1);
    }
    return sum;
  }

 private:
  int order_;
  int evaluation_ = 0;
  std::vector<double> factors_;
};

TEST(Recall, LatestGivesTheLatest) {
  const Latest latest;
  EXPECT_EQ(latest.depth(), 1);
  EXPECT_EQ(latest.name(), "latest");
  EXPECT_EQ(latest.weights(0, moments({4}), {5, 0}), (std::vector<double>{1}));
}

TEST(Recall, TaylorIsTheSeriesOfDerivativesThatAreRenewedInEveryFullStep) {
  std::mt19937 random(5);
  std::uniform_real_distribution<double> value(-1, 1);
  for (int order = 1; order <= 4; ++order) {
    const Taylor taylor(order);
    EXPECT_EQ(taylor.depth(), order + 1);
    Derivatives expected(order);
    std::vector<Moment> known;
    std::vector<double> values;
    for (int evaluation = 0; evaluation < 30; ++evaluation) {
      if (evaluation == 0 || random() % 3 == 0) {
        known.insert(known.begin(), {evaluation, 0});
        values.insert(values.begin(), value(random));
        if (static_cast<int>(known.size()) > taylor.depth()) {
          known.pop_back();
          values.pop_back();
        }
        expected.renew(evaluation, values.front());
        continue;
      }
      const auto weights = taylor.weights(0, known, {evaluation, 0});
      ASSERT_EQ(weights.size(), known.size());
      const double wanted = expected.forecast(evaluation);
      EXPECT_NEAR(sum_of(weights, values), wanted, 1e-9 * (1 + std::abs(wanted)))
          << "order " << order << ", evaluation " << evaluation;
    }
  }
}

TEST(Recall, FirstOrdersAreTheStraightLine) {
  for (const char* name : {"taylor:1", "chebyshev:1"}) {
    const auto weights = parse_recall(name)->weights(0, moments({6, 2}), {9, 0});
    EXPECT_THAT(weights, Pointwise(DoubleNear(1e-12), {1.75, -0.75})) << name;
  }
}

TEST(Recall, ChebyshevIsTheBarycentricFormula) {
  // Through three even points: the parabola, here of x * x.
  const auto three = Chebyshev(2).weights(0, moments({8, 5, 2}), {10, 0});
  EXPECT_NEAR(sum_of(three, {64, 25, 4}), 100, 1e-9);
  // 1/2 : -1/2 : 1/3 : -1/8 of distances 1 to 4.
  const auto four = Chebyshev(3).weights(0, moments({3, 2, 1, 0}), {4, 0});
  EXPECT_THAT(four, Pointwise(DoubleNear(1e-12), {2.4, -2.4, 1.6, -0.6}));
  const auto one = Chebyshev(3).weights(0, moments({3}), {4, 0});
  EXPECT_EQ(one, (std::vector<double>{1})) << "what there is at the start";
}

// Uneven histories (a warm-up, a router without groups) can put a pole of the barycentric formula
// near the wanted evaluation: 1/2 : -1 : 1/2 over distances of 2, 3 and 6 add up to nothing.
TEST(Recall, ChebyshevKeepsAwayFromPoles) {
  const auto weights = Chebyshev(2).weights(0, moments({6, 5, 2}), {8, 0});
  EXPECT_THAT(weights, Pointwise(DoubleNear(1e-12), {3.0, -2.0, 0.0})) << "the line";
  std::mt19937 random(3);
  for (int run = 0; run < 2000; ++run) {
    std::vector<int> known;  // latest first
    for (int evaluation = 20; evaluation > 0; --evaluation) {
      if (random() % 3 == 0) known.push_back(evaluation);
    }
    if (known.empty()) continue;
    double sum = 0;
    double sizes = 0;
    for (const double weight : Chebyshev(4).weights(0, moments(known), {21, 0})) {
      sum += weight;
      sizes += std::abs(weight);
    }
    EXPECT_NEAR(sum, 1, 1e-9);
    EXPECT_LE(sizes, 41) << "1 / 0.05 and, of two values 20 apart, 2 * 20 + 1";
  }
}

// A recall of somebody's own that forgets a weight.
class Short final : public Recall {
 public:
  [[nodiscard]] std::string name() const override { return "short"; }
  [[nodiscard]] int depth() const override { return 2; }
  [[nodiscard]] std::vector<double> weights(int, std::span<const Moment>,
                                            const Moment&) const override {
    return {1};
  }
};

TEST(Recall, WeightsAreChecked) {
  EXPECT_EQ(checked_weights(Latest(), 0, moments({4, 2}), {5, 0}), (std::vector<double>{1, 0}));
  EXPECT_THAT(message_of<Error>([] { (void)checked_weights(Short(), 0, moments({4, 2}), {5, 0}); }),
              HasSubstr("short"));
  EXPECT_THAT(message_of<Error>([] { (void)checked_weights(Latest(), 0, {}, {5, 0}); }),
              HasSubstr("latest"));
}

TEST(Recall, NamesAreWhatIsParsed) {
  for (const char* name : {"latest", "taylor:1", "taylor:8", "chebyshev:3"}) {
    EXPECT_EQ(parse_recall(name)->name(), name);
  }
}

TEST(Recall, RefusesWhatItDoesNotKnow) {
  for (const char* text :
       {"", "taylor", "taylor:", "taylor:1.5", "taylor:x", "newton:1", "latest:1"}) {
    EXPECT_THAT(message_of<InputError>([&] { (void)parse_recall(text); }),
                HasSubstr("give latest, taylor:ORDER, chebyshev:ORDER or fitted:FILE@DEPTH"))
        << text;
  }
  for (const char* text : {"taylor:0", "taylor:9", "chebyshev:-1"}) {
    EXPECT_THAT(message_of<InputError>([&] { (void)parse_recall(text); }), HasSubstr("give 1 to 8"))
        << text;
  }
}

}  // namespace
}  // namespace l2c
