#include "l2c/training/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "l2c/core/error.h"
#include "support/golden.h"

namespace l2c {
namespace {

TEST(TrainingRandom, DrawsDependOnSeedPurposeAndNumberAlone) {
  const TrainingRandom random(7);
  const auto draw = [&](const TrainingRandom& r, DrawFor purpose, std::int64_t number) {
    return r.integers(purpose, number, 20, 1000);
  };
  const auto first = draw(random, DrawFor::timestep, 3);
  (void)draw(random, DrawFor::noise, 0);
  EXPECT_EQ(draw(random, DrawFor::timestep, 3), first);
  EXPECT_EQ(draw(TrainingRandom(7), DrawFor::timestep, 3), first);
  EXPECT_NE(draw(random, DrawFor::timestep, 4), first);
  EXPECT_NE(draw(random, DrawFor::label_dropout, 3), first);
  EXPECT_NE(draw(TrainingRandom(8), DrawFor::timestep, 3), first);
}

TEST(TrainingRandom, MoreDrawsStartWithTheSameOnes) {
  const TrainingRandom random(1);
  auto long_draw = random.uniform(DrawFor::flip, 5, 9);
  long_draw.resize(4);
  EXPECT_EQ(random.uniform(DrawFor::flip, 5, 4), long_draw);
}

TEST(TrainingRandom, UniformFillsTheUnitInterval) {
  auto draws = TrainingRandom(11).uniform(DrawFor::label_dropout, 0, 100'000);
  EXPECT_GE(*std::min_element(draws.begin(), draws.end()), 0);
  EXPECT_LT(*std::max_element(draws.begin(), draws.end()), 1);
  const double mean = std::accumulate(draws.begin(), draws.end(), 0.0) / 100'000;
  EXPECT_NEAR(mean, 0.5, 0.004);  // four standard deviations
  std::sort(draws.begin(), draws.end());
  double largest = 0;  // Kolmogorov and Smirnov: below 1.95 / sqrt(n) but once in a thousand
  for (std::size_t i = 0; i < draws.size(); ++i) {
    largest = std::max(largest, std::abs(draws[i] - static_cast<double>(i) / 100'000));
  }
  EXPECT_LT(largest, 1.95 / std::sqrt(100'000));
}

TEST(TrainingRandom, IntegersCoverTheirRangeEvenly) {
  std::vector<int> counts(7);
  for (const auto value : TrainingRandom(3).integers(DrawFor::timestep, 2, 70'000, 7)) {
    ASSERT_GE(value, 0);
    ASSERT_LT(value, 7);
    ++counts[static_cast<std::size_t>(value)];
  }
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 400);
  EXPECT_THROW((void)TrainingRandom(3).integers(DrawFor::timestep, 2, 1, 0), Error);
}

TEST(TrainingRandom, NormalHasUnitVariance) {
  const auto draws = TrainingRandom(5).normal(DrawFor::noise, 9, {100'000});
  EXPECT_NEAR(draws.mean().item<double>(), 0, 0.013);
  EXPECT_NEAR(draws.var().item<double>(), 1, 0.02);
}

TEST(TrainingRandom, PermutationHoldsEveryNumberOnce) {
  auto order = TrainingRandom(5).permutation(DrawFor::data_order, 0, 1000);
  EXPECT_NE(order, TrainingRandom(5).permutation(DrawFor::data_order, 1, 1000));
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  for (std::size_t i = 0; i < order.size(); ++i) EXPECT_EQ(order[i], static_cast<std::int64_t>(i));
}

TEST(DataOrder, EveryEpochShowsEachExampleOnceInAnotherOrder) {
  DataOrder order(TrainingRandom(2), 12, 4);
  std::vector<std::vector<std::int64_t>> epochs(2);
  for (int step = 0; step < 6; ++step) {
    for (const auto number : order.batch(step)) {
      epochs[static_cast<std::size_t>(step / 3)].push_back(number);
    }
  }
  EXPECT_NE(epochs[0], epochs[1]);
  for (auto& epoch : epochs) EXPECT_EQ(std::set(epoch.begin(), epoch.end()).size(), 12);
}

TEST(DataOrder, StartsAnywhere) {
  DataOrder forward(TrainingRandom(2), 10, 3);
  std::vector<std::vector<std::int64_t>> batches;
  for (int step = 0; step < 9; ++step) batches.push_back(forward.batch(step));
  DataOrder elsewhere(TrainingRandom(2), 10, 3);
  EXPECT_EQ(elsewhere.batch(7), batches[7]);
  EXPECT_EQ(elsewhere.batch(2), batches[2]);
}

TEST(DataOrder, FewerExamplesThanABatchRepeat) {
  DataOrder order(TrainingRandom(2), 3, 8);
  const auto batch = order.batch(0);
  ASSERT_EQ(batch.size(), 8);
  EXPECT_EQ(std::set(batch.begin(), batch.end()).size(), 3);
  EXPECT_THROW(DataOrder(TrainingRandom(2), 0, 8), InputError);
  EXPECT_THROW(DataOrder(TrainingRandom(2), 8, 0), InputError);
}

}  // namespace
}  // namespace l2c
