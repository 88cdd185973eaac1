#include <fmt/format.h>

#include <cmath>

#include "feature_rows.h"
#include "l2c/core/error.h"
#include "l2c/metrics/distribution.h"

namespace l2c {

namespace {

void check_probabilities(const RowMatrix& p) {
  constexpr double tolerance = 1e-3;  // of sums of fp32 values
  for (Eigen::Index row = 0; row < p.rows(); ++row) {
    const double sum = p.row(row).sum();
    if (std::abs(sum - 1) <= tolerance && p.row(row).minCoeff() >= 0) continue;
    throw InputError(
        fmt::format("row {} is no row of probabilities (sum {}, smallest value {}): apply softmax "
                    "first",
                    row, sum, p.row(row).minCoeff()));
  }
}

// p ln p - p ln q, in the limit 0 for p = 0.
double term(double p, double q) { return p > 0 ? p * (std::log(p) - std::log(q)) : 0; }

double block_score(const RowMatrix& p, Eigen::Index first, Eigen::Index rows) {
  const Eigen::RowVectorXd mean = p.middleRows(first, rows).colwise().mean();
  double divergence = 0;
  for (Eigen::Index row = first; row < first + rows; ++row) {
    for (Eigen::Index k = 0; k < p.cols(); ++k) divergence += term(p(row, k), mean(k));
  }
  return std::exp(divergence / static_cast<double>(rows));
}

}  // namespace

double inception_score(const FeatureRows& probabilities, std::int64_t block_rows) {
  const auto p = checked_matrix(probabilities, "the probabilities", 1);
  if (block_rows < 1 || p.rows() % block_rows != 0) {
    throw InputError(
        fmt::format("{} rows cannot be cut into blocks of {}: take a divisor of the number of rows",
                    p.rows(), block_rows));
  }
  check_probabilities(p);
  double sum = 0;
  for (Eigen::Index first = 0; first < p.rows(); first += block_rows) {
    sum += block_score(p, first, block_rows);
  }
  return sum * static_cast<double>(block_rows) / static_cast<double>(p.rows());
}

}  // namespace l2c
