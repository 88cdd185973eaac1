#include <gtest/gtest.h>

#include <algorithm>

#include "feature_tables.h"

namespace l2c {
namespace {

using test::normal_table;
using test::Table;

double square(const Table<>& a, std::int64_t i, const Table<>& b, std::int64_t j) {
  double sum = 0;
  for (std::int64_t k = 0; k < a.width; ++k) {
    const double d = a.values[static_cast<std::size_t>(i * a.width + k)] -
                     b.values[static_cast<std::size_t>(j * b.width + k)];
    sum += d * d;
  }
  return sum;
}

// The definition, pair by pair.
double share_by_hand(const Table<>& points, const Table<>& manifold, int neighbour) {
  std::vector<double> radii;
  for (std::int64_t i = 0; i < manifold.rows; ++i) {
    std::vector<double> others;
    for (std::int64_t j = 0; j < manifold.rows; ++j) {
      if (j != i) others.push_back(square(manifold, i, manifold, j));
    }
    std::sort(others.begin(), others.end());
    radii.push_back(others[static_cast<std::size_t>(neighbour - 1)]);
  }
  int within = 0;
  for (std::int64_t i = 0; i < points.rows; ++i) {
    for (std::int64_t j = 0; j < manifold.rows; ++j) {
      if (square(points, i, manifold, j) > radii[static_cast<std::size_t>(j)]) continue;
      ++within;
      break;
    }
  }
  return within / static_cast<double>(points.rows);
}

void expect_by_hand(const Table<>& real, const Table<>& fake, int neighbour) {
  const auto both = precision_recall(real, fake, neighbour);
  EXPECT_EQ(both.precision, share_by_hand(fake, real, neighbour));
  EXPECT_EQ(both.recall, share_by_hand(real, fake, neighbour));
}

TEST(PrecisionRecall, IsExactOnRandomSets) {
  for (const std::uint32_t seed : {1U, 2U, 3U}) {
    for (const int neighbour : {1, 3, 7}) {
      expect_by_hand(normal_table(60, 4, seed), normal_table(45, 4, seed + 50, 1.2), neighbour);
    }
  }
}

TEST(PrecisionRecall, IsExactWhereSinglePrecisionCannotTell) {
  // Points of a grid far from the origin: many equal distances, limits met exactly.
  Table<> real{.values = {}, .rows = 0, .width = 2};
  for (int x = 0; x < 8; ++x) {
    for (int y = 0; y < 8; ++y) {
      real.values.push_back(1e6 + x);
      real.values.push_back(y);
      ++real.rows;
    }
  }
  expect_by_hand(real, real, 3);
  expect_by_hand(real, real.shifted(1), 3);
  expect_by_hand(real, real.shifted(0.75), 2);
  // A cluster that is tiny beside the distance to one far point, which sets the scale.
  auto cluster = normal_table(40, 3, 4, 1e-5);
  cluster.values[0] = 1000;
  auto other = normal_table(40, 3, 5, 1e-5);
  other.values[0] = 1000;
  expect_by_hand(cluster, other, 3);
}

TEST(PrecisionRecall, OfIdenticalSetsIsOne) {
  const auto table = normal_table(100, 8, 6);
  const auto both = precision_recall(table, table);
  EXPECT_EQ(both.precision, 1);
  EXPECT_EQ(both.recall, 1);
}

TEST(PrecisionRecall, OfDistantSetsIsZero) {
  const auto table = normal_table(50, 8, 7);
  const auto both = precision_recall(table, table.shifted(1000));
  EXPECT_EQ(both.precision, 0);
  EXPECT_EQ(both.recall, 0);
}

TEST(PrecisionRecall, OfRepeatedPointsMeetsTheRadiusOfZero) {
  // Four equal real points: the third neighbour is at distance 0, and so is an equal fake one.
  const Table<> real{.values = {0.1, 0.1, 0.1, 0.1, 7}, .rows = 5, .width = 1};
  const Table<> fake{.values = {0.1, 0.1000001, 3, 4}, .rows = 4, .width = 1};
  EXPECT_EQ(precision_recall(real, fake).precision, share_by_hand(fake, real, 3));
  const Table<> same{.values = {5, 5, 5, 5}, .rows = 4, .width = 1};
  EXPECT_EQ(precision_recall(same, same).precision, 1);
}

TEST(PrecisionRecall, SwapsWithItsArguments) {
  const auto a = normal_table(70, 5, 8);
  const auto b = normal_table(90, 5, 9, 0.7);
  const auto ab = precision_recall(a, b);
  const auto ba = precision_recall(b, a);
  EXPECT_EQ(ab.precision, ba.recall);
  EXPECT_EQ(ab.recall, ba.precision);
  EXPECT_NE(ab.precision, ab.recall);
}

TEST(PrecisionRecall, WorksInSeveralBlocks) {
  // 3000 rows: 1398 at a time.
  expect_by_hand(normal_table(3000, 2, 10), normal_table(500, 2, 11, 1.1), 3);
}

}  // namespace
}  // namespace l2c
