#include "l2c/metrics/distribution.h"

#include <gtest/gtest.h>

#include <cmath>

#include "feature_tables.h"
#include "l2c/core/error.h"

namespace l2c {
namespace {

using test::normal_table;
using test::Table;

double frechet(const FeatureRows& a, const FeatureRows& b) {
  return frechet_distance(gaussian_statistics(a), gaussian_statistics(b));
}

// The columns repeated: covariances of half the rank.
Table<> doubled_columns(const Table<>& table) {
  Table<> wide{.values = {}, .rows = table.rows, .width = 2 * table.width};
  for (std::int64_t row = 0; row < table.rows; ++row) {
    const auto begin = table.values.begin() + row * table.width;
    for (int copy = 0; copy < 2; ++copy) {
      wide.values.insert(wide.values.end(), begin, begin + table.width);
    }
  }
  return wide;
}

TEST(Gaussian, OfThreeRowsByHand) {
  const Table<> table{.values = {1, 2, 3, 2, 5, 8}, .rows = 3, .width = 2};
  const auto s = gaussian_statistics(table);
  EXPECT_EQ(s.rows, 3);
  EXPECT_EQ(s.mean, (std::vector<double>{3, 4}));
  EXPECT_EQ(s.covariance, (std::vector<double>{4, 6, 6, 12}));
}

TEST(Gaussian, TakesSinglePrecisionFeatures) {
  const Table<float> table{.values = {1, 2, 3, 2, 5, 8}, .rows = 3, .width = 2};
  EXPECT_EQ(gaussian_statistics(table).covariance, (std::vector<double>{4, 6, 6, 12}));
}

TEST(Gaussian, InPartsIsThatOfTheWhole) {
  const auto table = normal_table(50, 7, 3);
  const auto whole = gaussian_statistics(table);
  GaussianAccumulator parts;
  std::int64_t first = 0;
  for (const std::int64_t count : {1, 20, 29}) {
    const std::span<const double> all(table.values);
    parts.add({.values = all.subspan(static_cast<std::size_t>(first * 7),
                                     static_cast<std::size_t>(count * 7)),
               .rows = count,
               .width = 7});
    first += count;
  }
  const auto s = parts.statistics();
  EXPECT_EQ(s.rows, 50);
  for (std::size_t i = 0; i < s.mean.size(); ++i) EXPECT_NEAR(s.mean[i], whole.mean[i], 1e-13);
  for (std::size_t i = 0; i < s.covariance.size(); ++i) {
    EXPECT_NEAR(s.covariance[i], whole.covariance[i], 1e-13);
  }
}

TEST(Gaussian, InPartsRefusesMistakes) {
  GaussianAccumulator parts;
  EXPECT_THROW((void)parts.statistics(), InputError);
  parts.add(Table<>{.values = {1, 2}, .rows = 1, .width = 2});
  EXPECT_THROW((void)parts.statistics(), InputError);
  EXPECT_THROW(parts.add(Table<>{.values = {1, 2, 3}, .rows = 1, .width = 3}), InputError);
  EXPECT_THROW(parts.add(Table<>{.values = {NAN, 2}, .rows = 1, .width = 2}), InputError);
}

TEST(Frechet, OfOneColumnIsTheKnownFormula) {
  // (mu1 - mu2)^2 + (sigma1 - sigma2)^2
  const Table<> a{.values = {0, 2}, .rows = 2, .width = 1};
  const Table<> b{.values = {10, 18}, .rows = 2, .width = 1};
  const double sigma_a = std::sqrt(2.0);
  const double sigma_b = std::sqrt(32.0);
  EXPECT_NEAR(frechet(a, b), 13 * 13 + (sigma_a - sigma_b) * (sigma_a - sigma_b), 1e-11);
}

TEST(Frechet, OfCommutingCovariancesIsTheKnownFormula) {
  GaussianStatistics a{.rows = 10, .mean = {0, 0}, .covariance = {4, 0, 0, 9}};
  GaussianStatistics b{.rows = 10, .mean = {1, 2}, .covariance = {1, 0, 0, 25}};
  EXPECT_NEAR(frechet_distance(a, b), 5 + 1 + 4, 1e-12);
}

TEST(Frechet, OfIdenticalSetsIsZero) {
  for (const std::int64_t width : {1, 3, 17}) {
    const auto table = normal_table(50, width, 1);
    EXPECT_NEAR(frechet(table, table), 0, 1e-12 * static_cast<double>(width)) << width;
  }
}

TEST(Frechet, OfAShiftIsTheSquaredDistance) {
  for (const double shift : {0.5, -3.0, 100.0}) {
    const auto table = normal_table(40, 6, 2);
    EXPECT_NEAR(frechet(table, table.shifted(shift)), 6 * shift * shift, 1e-9 * shift * shift);
  }
}

TEST(Frechet, IsSymmetric) {
  const auto a = normal_table(60, 12, 3);
  const auto b = normal_table(30, 12, 4, 2);
  EXPECT_NEAR(frechet(a, b), frechet(b, a), 1e-11);
  EXPECT_GT(frechet(a, b), 1);
}

TEST(Frechet, WithRankDeficientCovariances) {
  // Fewer rows than columns, and equal columns.
  const auto few = normal_table(5, 20, 5);
  EXPECT_NEAR(frechet(few, few), 0, 1e-11);
  const auto a = normal_table(50, 4, 6);
  const auto b = normal_table(50, 4, 7, 3);
  const auto wide_a = doubled_columns(a);
  EXPECT_NEAR(frechet(wide_a, wide_a), 0, 1e-12);
  // With every column twice all variances and squared distances double.
  EXPECT_NEAR(frechet(wide_a, doubled_columns(b)), 2 * frechet(a, b), 1e-10);
}

TEST(Frechet, OfConstantColumnsIsTheDistanceOfTheMeans) {
  const Table<> a{.values = {1, 1, 1, 1}, .rows = 2, .width = 2};
  EXPECT_EQ(frechet(a, a), 0);
  EXPECT_EQ(frechet(a, a.shifted(2)), 8);
}

// The kernel's definition, pair by pair.
double kid_by_hand(const Table<>& a, const Table<>& b) {
  const auto sum = [](const Table<>& x, const Table<>& y, bool skip_diagonal) {
    double all = 0;
    for (std::int64_t i = 0; i < x.rows; ++i) {
      for (std::int64_t j = 0; j < y.rows; ++j) {
        if (skip_diagonal && i == j) continue;
        double dot = 0;
        for (std::int64_t k = 0; k < x.width; ++k) {
          dot += x.values[static_cast<std::size_t>(i * x.width + k)] *
                 y.values[static_cast<std::size_t>(j * y.width + k)];
        }
        all += std::pow(dot / static_cast<double>(x.width) + 1, 3);
      }
    }
    return all;
  };
  const auto m = static_cast<double>(a.rows);
  const auto n = static_cast<double>(b.rows);
  return sum(a, a, true) / (m * (m - 1)) + sum(b, b, true) / (n * (n - 1)) -
         2 * sum(a, b, false) / (m * n);
}

TEST(Kid, IsTheUnbiasedEstimateOverManyBlocks) {
  // More rows than one block of 1024, and a number that leaves a short one.
  const auto a = normal_table(2100, 3, 8);
  const auto b = normal_table(1030, 3, 9, 1.5);
  const double expected = kid_by_hand(a, b);
  EXPECT_NEAR(kernel_inception_distance(a, b), expected, 1e-10 * std::abs(expected));
}

TEST(Kid, IsSymmetricAndGrowsWithTheDistance) {
  const auto a = normal_table(100, 5, 10);
  const auto b = normal_table(80, 5, 11);
  EXPECT_NEAR(kernel_inception_distance(a, b), kernel_inception_distance(b, a), 1e-12);
  EXPECT_LT(std::abs(kernel_inception_distance(a, b)), 0.5);
  EXPECT_GT(kernel_inception_distance(a, b.shifted(2)), 10);
}

TEST(InceptionScore, OfEqualRowsIsOneAndOfSureRowsTheClasses) {
  const Table<> same{.values = {0.2, 0.8, 0.2, 0.8}, .rows = 2, .width = 2};
  EXPECT_NEAR(inception_score(same, 2), 1, 1e-12);
  const Table<> sure{.values = {1, 0, 0, 0, 1, 0, 0, 0, 1}, .rows = 3, .width = 3};
  EXPECT_NEAR(inception_score(sure, 3), 3, 1e-12);
  EXPECT_NEAR(inception_score(sure, 1), 1, 1e-12);  // each block alone is of one kind
}

TEST(ShareInterval, IsWilsons) {
  // 8 of 10 at 95 %: 0.4901625 ... 0.9433178 (worked out with the textbook formula).
  const auto interval = share_interval(8, 10);
  EXPECT_DOUBLE_EQ(interval.value, 0.8);
  EXPECT_NEAR(interval.low, 0.4901625, 1e-6);
  EXPECT_NEAR(interval.high, 0.9433178, 1e-6);
}

TEST(ShareInterval, StaysWithinZeroAndOne) {
  const auto none = share_interval(0, 10);
  EXPECT_EQ(none.low, 0);
  EXPECT_NEAR(none.high, 0.2775, 1e-4);
  const auto all = share_interval(10, 10);
  EXPECT_EQ(all.high, 1);
  EXPECT_NEAR(all.low, 1 - 0.2775, 1e-4);
}

}  // namespace
}  // namespace l2c
