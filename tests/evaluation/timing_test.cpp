#include "l2c/evaluation/timing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>

#include "evaluation_support.h"
#include "l2c/cache/policies.h"
#include "l2c/core/error.h"

namespace l2c {
namespace {

Request timed(int steps) {
  auto request = test::small_request();
  request.labels = {0, 1, 2, 3};
  request.steps = steps;
  return request;
}

TEST(Timing, SeesThatMoreStepsTakeLonger) {
  const auto timings = measure_alternating(test::pixel_pipeline(), {timed(60), timed(6)}, 3);
  ASSERT_EQ(timings.size(), 2U);
  EXPECT_EQ(timings[0].speedup, 1);
  EXPECT_EQ(timings[0].seconds.size(), 3U);
  // Ten times the work; a bound that a busy machine keeps.
  EXPECT_GT(timings[1].speedup, 2);
}

TEST(Timing, TakesMedians) {
  for (const int rounds : {3, 4}) {
    const auto timings = measure_alternating(test::pixel_pipeline(), {timed(6), timed(4)}, rounds);
    auto seconds = timings[1].seconds;
    std::sort(seconds.begin(), seconds.end());
    const double median = rounds == 3 ? seconds[1] : (seconds[1] + seconds[2]) / 2;
    EXPECT_DOUBLE_EQ(timings[1].seconds_per_image, median / 4);
    std::vector<double> ratios;
    for (std::size_t k = 0; k < seconds.size(); ++k) {
      ratios.push_back(timings[0].seconds[k] / timings[1].seconds[k]);
    }
    std::sort(ratios.begin(), ratios.end());
    EXPECT_DOUBLE_EQ(timings[1].speedup, rounds == 3 ? ratios[1] : (ratios[1] + ratios[2]) / 2);
  }
}

TEST(Timing, GivesQuartiles) {
  const auto timings = measure_alternating(test::pixel_pipeline(), {timed(6), timed(4)}, 5);
  auto seconds = timings[1].seconds;
  std::vector<double> ratios;
  for (std::size_t k = 0; k < 5; ++k) ratios.push_back(timings[0].seconds[k] / seconds[k]);
  std::sort(seconds.begin(), seconds.end());
  std::sort(ratios.begin(), ratios.end());
  EXPECT_DOUBLE_EQ(timings[1].seconds_per_image_quartiles.low, seconds[1] / 4);
  EXPECT_DOUBLE_EQ(timings[1].seconds_per_image_quartiles.high, seconds[3] / 4);
  EXPECT_DOUBLE_EQ(timings[1].speedup_quartiles.low, ratios[1]);
  EXPECT_DOUBLE_EQ(timings[1].speedup_quartiles.high, ratios[3]);
  EXPECT_EQ(timings[0].speedup_quartiles.low, 1);
  // Between two rounds: a quarter of the way.
  const auto two = measure_alternating(test::pixel_pipeline(), {timed(4)}, 2)[0];
  const auto [least, most] = std::minmax(two.seconds[0], two.seconds[1]);
  EXPECT_NEAR(two.seconds_per_image_quartiles.low, (least + 0.25 * (most - least)) / 4, 1e-12);
}

TEST(Timing, QuantilesLieBetweenNeighbours) {
  EXPECT_DOUBLE_EQ(quantile({3, 1, 2}, 0.5), 2);
  EXPECT_DOUBLE_EQ(quantile({4, 1, 2, 3}, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile({2, 1}, 0.95), 1.95);
  EXPECT_DOUBLE_EQ(quantile({5}, 0.95), 5);
  EXPECT_DOUBLE_EQ(quantile({5, 7, 6}, 0), 5);
  EXPECT_DOUBLE_EQ(quantile({5, 7, 6}, 1), 7);
  EXPECT_THAT([] { (void)quantile({}, 0.5); },
              testing::ThrowsMessage<InputError>(testing::HasSubstr("no values")));
  for (const double share : {-0.1, 1.1, std::nan("")}) {
    EXPECT_THROW((void)quantile({1}, share), InputError);
  }
}

// Writes down that it runs.
class Noted : public CachePolicy {
 public:
  Noted(char name, std::string& order) : name_(name), order_(order) {}
  [[nodiscard]] std::string name() const override { return {name_}; }
  [[nodiscard]] std::optional<CachePlan> plan(const RunShape& shape) const override {
    return ComputeAll().plan(shape);
  }
  [[nodiscard]] std::unique_ptr<CacheRun> start(const RunShape& shape, CacheStore& store,
                                                const Recall* recall) const override {
    order_ += name_;
    return CachePolicy::start(shape, store, recall);
  }

 private:
  char name_;
  std::string& order_;
};

TEST(Timing, EachComesFirstAndLastAndAfterEachOther) {
  std::string order;
  std::vector<Request> requests;
  for (const char name : {'a', 'b', 'c'}) {
    requests.push_back(timed(1));
    requests.back().cache = std::make_shared<Noted>(name, order);
  }
  (void)measure_alternating(test::pixel_pipeline(), requests, 6);
  // The first is the warm-up; then all six orders.
  EXPECT_EQ(order,
            "abc"
            "abc"
            "bac"
            "cab"
            "acb"
            "bca"
            "cba");
}

TEST(Timing, ReportsRounds) {
  std::vector<int> seen;
  (void)measure_alternating(test::pixel_pipeline(), {timed(2)}, 3, [&](int done, int of) {
    EXPECT_EQ(of, 3);
    seen.push_back(done);
  });
  EXPECT_THAT(seen, testing::ElementsAre(1, 2, 3));
}

TEST(Timing, Stops) {
  std::stop_source source;
  EXPECT_THROW((void)measure_alternating(
                   test::pixel_pipeline(), {timed(2)}, 3, [&](int, int) { source.request_stop(); },
                   source.get_token()),
               Cancelled);
}

TEST(Timing, RefusesNothingToTime) {
  EXPECT_THAT([] { (void)measure_alternating(test::pixel_pipeline(), {}, 3); },
              testing::ThrowsMessage<InputError>(testing::HasSubstr("at least one request")));
  EXPECT_THAT([] { (void)measure_alternating(test::pixel_pipeline(), {timed(2)}, 0); },
              testing::ThrowsMessage<InputError>(testing::HasSubstr("0 rounds")));
}

}  // namespace
}  // namespace l2c
