#include <algorithm>

#include "feature_rows.h"
#include "l2c/metrics/distribution.h"

namespace l2c {

namespace {

// Rows at a time: a block of products stays within 8 MB whatever the number of rows.
constexpr Eigen::Index block = 1024;

double kernel_sum(const RowMatrix& products, double width) {
  return (products.array() / width + 1).cube().sum();
}

// Sum of the kernel over all pairs of a row of a and a row of b.
double cross_sum(const RowMatrix& a, const RowMatrix& b) {
  const auto width = static_cast<double>(a.cols());
  double sum = 0;
  for (Eigen::Index i = 0; i < a.rows(); i += block) {
    const auto rows = a.middleRows(i, std::min(block, a.rows() - i));
    for (Eigen::Index j = 0; j < b.rows(); j += block) {
      sum += kernel_sum(rows * b.middleRows(j, std::min(block, b.rows() - j)).transpose(), width);
    }
  }
  return sum;
}

// Sum of the kernel over all ordered pairs of two different rows.
double own_sum(const RowMatrix& a) {
  const auto width = static_cast<double>(a.cols());
  double sum = 0;
  for (Eigen::Index i = 0; i < a.rows(); i += block) {
    const auto rows = a.middleRows(i, std::min(block, a.rows() - i));
    const RowMatrix products = rows * rows.transpose();
    sum += kernel_sum(products, width) - kernel_sum(products.diagonal(), width);
    for (Eigen::Index j = i + block; j < a.rows(); j += block) {
      const auto others = a.middleRows(j, std::min(block, a.rows() - j));
      sum += 2 * kernel_sum(rows * others.transpose(), width);
    }
  }
  return sum;
}

double mean_own(const RowMatrix& a) {
  const auto rows = static_cast<double>(a.rows());
  return own_sum(a) / (rows * (rows - 1));
}

}  // namespace

double kernel_inception_distance(const FeatureRows& real, const FeatureRows& fake) {
  const auto a = checked_matrix(real, "the real features", 2);
  const auto b = checked_matrix(fake, "the fake features", 2);
  check_same_width(a, b);
  const auto pairs = static_cast<double>(a.rows()) * static_cast<double>(b.rows());
  return mean_own(a) + mean_own(b) - 2 * cross_sum(a, b) / pairs;
}

}  // namespace l2c
