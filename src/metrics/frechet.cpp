#include <fmt/format.h>

#include <Eigen/Eigenvalues>
#include <Eigen/SVD>
#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "feature_rows.h"
#include "l2c/core/error.h"
#include "l2c/metrics/distribution.h"

namespace l2c {

namespace {

void check(const GaussianStatistics& statistics, std::string_view which) {
  const auto width = statistics.mean.size();
  if (width == 0 || statistics.covariance.size() != width * width) {
    throw InputError(fmt::format(
        "the {} statistics have a mean of {} values and a covariance of {}: expected D >= 1 "
        "values and D * D",
        which, width, statistics.covariance.size()));
  }
  const auto finite = [](double value) { return std::isfinite(value); };
  if (!std::all_of(statistics.mean.begin(), statistics.mean.end(), finite) ||
      !std::all_of(statistics.covariance.begin(), statistics.covariance.end(), finite)) {
    throw InputError(fmt::format("the {} statistics hold NaN or infinity", which));
  }
}

Eigen::Map<const RowMatrix> covariance(const GaussianStatistics& statistics) {
  const auto width = static_cast<Eigen::Index>(statistics.mean.size());
  return {statistics.covariance.data(), width, width};
}

// R with R^T R = S. Directions whose variance is rounding noise become exact zeros: the root of a
// noise of 1e-16 would be 1e-8.
RowMatrix root(const GaussianStatistics& statistics) {
  const auto s = covariance(statistics);
  const Eigen::SelfAdjointEigenSolver<RowMatrix> solver(0.5 * (s + s.transpose()));
  if (solver.info() != Eigen::Success) {
    throw RunError("the eigenvalues of a covariance could not be found: are its values usable?");
  }
  const auto& values = solver.eigenvalues();
  const double noise = static_cast<double>(values.size()) * std::numeric_limits<double>::epsilon() *
                       values.cwiseAbs().maxCoeff();
  const Eigen::VectorXd roots =
      values.unaryExpr([noise](double value) { return value > noise ? std::sqrt(value) : 0.0; });
  return roots.asDiagonal() * solver.eigenvectors().transpose();
}

}  // namespace

GaussianStatistics gaussian_statistics(const FeatureRows& features) {
  GaussianAccumulator all;
  all.add(features);
  return all.statistics();
}

void GaussianAccumulator::add(const FeatureRows& features) {
  RowMatrix matrix = checked_matrix(features, "the features", 1);
  const auto width = matrix.cols();
  if (mean_.empty()) {
    mean_.assign(static_cast<std::size_t>(width), 0);
    squares_.assign(static_cast<std::size_t>(width * width), 0);
  }
  if (static_cast<std::size_t>(width) != mean_.size()) {
    throw InputError(
        fmt::format("features of {} columns after some of {}: take all from the same "
                    "network",
                    width, mean_.size()));
  }
  // Chan, Golub and LeVeque 1979: deviations from the part's own mean, and the means' difference.
  Eigen::Map<Eigen::RowVectorXd> mean(mean_.data(), width);
  Eigen::Map<RowMatrix> squares(squares_.data(), width, width);
  const Eigen::RowVectorXd part_mean = matrix.colwise().mean();
  matrix.rowwise() -= part_mean;
  const Eigen::VectorXd difference = (part_mean - mean).transpose();
  const auto before = static_cast<double>(rows_);
  const auto part = static_cast<double>(matrix.rows());
  squares.selfadjointView<Eigen::Lower>().rankUpdate(matrix.transpose());
  squares.selfadjointView<Eigen::Lower>().rankUpdate(difference, before * part / (before + part));
  mean += difference.transpose() * (part / (before + part));
  rows_ += matrix.rows();
}

GaussianStatistics GaussianAccumulator::statistics() const {
  if (rows_ < 2) {
    throw InputError(fmt::format("the features have {} rows, at least 2 are needed", rows_));
  }
  GaussianStatistics statistics{.rows = rows_, .mean = mean_, .covariance = squares_};
  const auto width = static_cast<Eigen::Index>(mean_.size());
  Eigen::Map<RowMatrix> covariance(statistics.covariance.data(), width, width);
  covariance.triangularView<Eigen::StrictlyUpper>() = covariance.transpose();
  covariance /= static_cast<double>(rows_ - 1);
  return statistics;
}

double frechet_distance(const GaussianStatistics& a, const GaussianStatistics& b) {
  check(a, "first");
  check(b, "second");
  if (a.mean.size() != b.mean.size()) {
    throw InputError(
        fmt::format("statistics of {} columns cannot be compared with those of {}: take both from "
                    "the same network",
                    a.mean.size(), b.mean.size()));
  }
  const auto width = static_cast<Eigen::Index>(a.mean.size());
  const Eigen::Map<const Eigen::VectorXd> mean_a(a.mean.data(), width);
  const Eigen::Map<const Eigen::VectorXd> mean_b(b.mean.data(), width);
  // The roots of the eigenvalues of S1^.5 S2 S1^.5 are the singular values of R1 R2^T: the same
  // numbers without squaring first, so small ones keep their digits.
  const Eigen::MatrixXd product = root(a) * root(b).transpose();
  const double overlap = Eigen::BDCSVD<Eigen::MatrixXd>(product).singularValues().sum();
  const double distance =
      (mean_a - mean_b).squaredNorm() + covariance(a).trace() + covariance(b).trace() - 2 * overlap;
  return std::max(distance, 0.0);
}

}  // namespace l2c
