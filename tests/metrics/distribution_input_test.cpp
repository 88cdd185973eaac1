#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "feature_tables.h"
#include "l2c/core/error.h"

namespace l2c {
namespace {

using test::normal_table;
using test::Table;
using testing::HasSubstr;

template <typename Call>
void refuses(Call call, const char* says) {
  EXPECT_THAT(call, testing::ThrowsMessage<InputError>(HasSubstr(says)));
}

const Table<> good = normal_table(10, 3, 1);

TEST(DistributionInput, TooFewRows) {
  const auto one = normal_table(1, 3, 1);
  refuses([&] { (void)gaussian_statistics(one); }, "the features have 1 rows, at least 2");
  refuses([&] { (void)kernel_inception_distance(one, good); }, "the real features have 1 rows");
  refuses([&] { (void)kernel_inception_distance(good, one); }, "the fake features have 1 rows");
  refuses([&] { (void)precision_recall(good, normal_table(3, 3, 1)); },
          "the fake features have 3 rows, at least 4");
  refuses([&] { (void)precision_recall(good, good, 0); }, "the 0-th nearest neighbour");
  refuses([&] { (void)inception_score(Table<>{.values = {}, .rows = 0, .width = 3}, 1); },
          "at least 1");
}

TEST(DistributionInput, SizesThatDisagree) {
  auto table = good;
  table.rows = 9;
  refuses([&] { (void)gaussian_statistics(table); }, "30 values, 9 rows of 3");
  table.rows = std::numeric_limits<std::int64_t>::max();
  refuses([&] { (void)gaussian_statistics(table); }, "30 values");
  table = Table<>{.values = {}, .rows = 4, .width = 0};
  refuses([&] { (void)gaussian_statistics(table); }, "0 columns");
}

TEST(DistributionInput, UnlikeWidths) {
  const auto wide = normal_table(10, 4, 1);
  refuses([&] { (void)kernel_inception_distance(good, wide); }, "3 columns, the fake ones 4");
  refuses([&] { (void)precision_recall(good, wide); }, "3 columns, the fake ones 4");
  refuses([&] { (void)frechet_distance(gaussian_statistics(good), gaussian_statistics(wide)); },
          "3 columns cannot be compared with those of 4");
}

TEST(DistributionInput, ValuesThatAreNotFinite) {
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    auto table = good;
    table.values[3 * 7 + 1] = bad;
    refuses([&] { (void)gaussian_statistics(table); }, "row 7 of the features holds NaN");
    refuses([&] { (void)kernel_inception_distance(table, good); }, "row 7 of the real features");
    refuses([&] { (void)precision_recall(good, table); }, "row 7 of the fake features");
    auto statistics = gaussian_statistics(good);
    statistics.covariance[2] = bad;
    refuses([&] { (void)frechet_distance(gaussian_statistics(good), statistics); },
            "the second statistics hold NaN");
  }
}

TEST(DistributionInput, StatisticsWhoseSizesDisagree) {
  auto statistics = gaussian_statistics(good);
  statistics.covariance.pop_back();
  refuses([&] { (void)frechet_distance(statistics, statistics); },
          "a mean of 3 values and a covariance of 8");
}

TEST(DistributionInput, RowsThatAreNoProbabilities) {
  refuses([&] { (void)inception_score(good, 5); }, "apply softmax first");
  const Table<> negative{.values = {1.5, -0.5}, .rows = 1, .width = 2};
  refuses([&] { (void)inception_score(negative, 1); }, "smallest value -0.5");
}

TEST(DistributionInput, BlocksThatDoNotDivideTheRows) {
  const Table<> table{.values = {1, 1, 1, 1}, .rows = 4, .width = 1};
  refuses([&] { (void)inception_score(table, 3); }, "4 rows cannot be cut into blocks of 3");
  refuses([&] { (void)inception_score(table, 0); }, "blocks of 0");
}

TEST(DistributionInput, SharesThatAreNone) {
  refuses([] { (void)share_interval(0, 0); }, "0 successes of 0 trials");
  refuses([] { (void)share_interval(-1, 5); }, "-1 successes");
  refuses([] { (void)share_interval(6, 5); }, "6 successes of 5");
}

}  // namespace
}  // namespace l2c
