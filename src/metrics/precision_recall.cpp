#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "feature_rows.h"
#include "l2c/core/error.h"
#include "l2c/metrics/distribution.h"

namespace l2c {

namespace {

using FloatMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// Distances of one block at a time: 16 MiB in fp32.
constexpr Eigen::Index block_values = Eigen::Index{1} << 22;

// One set twice: exact, and centred and scaled to [-1, 1] in fp32. Products of the latter give
// nearly all distances at matrix speed; those too close to a limit for fp32 are settled by the
// former.
struct Points {
  RowMatrix exact;
  FloatMatrix near;
  Eigen::VectorXf squares;  // |near row|^2
};

Points make_points(RowMatrix values, const Eigen::RowVectorXd& centre, double scale) {
  Points points;
  points.exact = std::move(values);
  points.near = ((points.exact.rowwise() - centre) / scale).cast<float>();
  points.squares = points.near.cast<double>().rowwise().squaredNorm().cast<float>();
  return points;
}

double exact_square(const Points& a, Eigen::Index i, const Points& b, Eigen::Index j) {
  return (a.exact.row(i) - b.exact.row(j)).squaredNorm();
}

class Distances {
 public:
  Distances(RowMatrix real, RowMatrix fake) {
    const Eigen::RowVectorXd centre = real.colwise().mean();
    const double largest = std::max((real.rowwise() - centre).cwiseAbs().maxCoeff(),
                                    (fake.rowwise() - centre).cwiseAbs().maxCoeff());
    if (largest > 0) scale_ = largest;
    real_ = make_points(std::move(real), centre, scale_);
    fake_ = make_points(std::move(fake), centre, scale_);
    // Rounding of a product of `width` terms, of its factors and of the sums, doubled.
    margin_ = static_cast<float>(real_.near.cols() + 8) * std::numeric_limits<float>::epsilon();
  }

  [[nodiscard]] PrecisionRecall operator()(int neighbour) const {
    return {.precision = share_within(fake_, real_, squared_radii(real_, neighbour)),
            .recall = share_within(real_, fake_, squared_radii(fake_, neighbour))};
  }

 private:
  // Squared distances (scaled, fp32) of `count` rows of a from row `first` on to all rows of b.
  [[nodiscard]] static FloatMatrix block(const Points& a, Eigen::Index first, Eigen::Index count,
                                         const Points& b) {
    FloatMatrix squares = a.near.middleRows(first, count) * b.near.transpose();
    squares *= -2;
    squares.colwise() += a.squares.segment(first, count);
    squares.rowwise() += b.squares.transpose();
    return squares;
  }

  static Eigen::Index block_rows(const Points& other) {
    return std::max<Eigen::Index>(1, block_values / other.exact.rows());
  }

  [[nodiscard]] float uncertainty(const Points& a, Eigen::Index i, const Points& b,
                                  Eigen::Index j) const {
    return margin_ * (a.squares[i] + b.squares[j]);
  }

  // The exact squared distance of each point to its `neighbour`-th nearest other one.
  [[nodiscard]] std::vector<double> squared_radii(const Points& points, int neighbour) const {
    std::vector<double> radii;
    const auto rows = points.exact.rows();
    const auto most = block_rows(points);
    for (Eigen::Index first = 0; first < rows; first += most) {
      const auto count = std::min(most, rows - first);
      FloatMatrix squares = block(points, first, count, points);
      for (Eigen::Index k = 0; k < count; ++k) {
        squares(k, first + k) = std::numeric_limits<float>::infinity();  // itself
        radii.push_back(squared_radius(points, first + k, squares.row(k), neighbour));
      }
    }
    return radii;
  }

  template <typename Row>
  [[nodiscard]] double squared_radius(const Points& points, Eigen::Index i, const Row& squares,
                                      int neighbour) const {
    // The `neighbour`-th smallest upper bound: nothing whose lower bound is above can be nearer.
    std::vector<float> nearest(static_cast<std::size_t>(neighbour),
                               std::numeric_limits<float>::infinity());
    for (Eigen::Index j = 0; j < squares.size(); ++j) {
      const float upper = squares[j] + uncertainty(points, i, points, j);
      if (upper >= nearest.back()) continue;
      nearest.insert(std::upper_bound(nearest.begin(), nearest.end(), upper), upper);
      nearest.pop_back();
    }
    std::vector<double> candidates;
    for (Eigen::Index j = 0; j < squares.size(); ++j) {
      if (j == i || squares[j] - uncertainty(points, i, points, j) > nearest.back()) continue;
      candidates.push_back(exact_square(points, i, points, j));
    }
    const auto wanted = candidates.begin() + (neighbour - 1);
    std::nth_element(candidates.begin(), wanted, candidates.end());
    return *wanted;
  }

  // The share of the rows of a that lie within the radius of any row of b.
  [[nodiscard]] double share_within(const Points& a, const Points& b,
                                    const std::vector<double>& squared_radii_of_b) const {
    const auto most = block_rows(b);
    std::int64_t within = 0;
    for (Eigen::Index first = 0; first < a.exact.rows(); first += most) {
      const auto count = std::min(most, a.exact.rows() - first);
      const FloatMatrix squares = block(a, first, count, b);
      for (Eigen::Index k = 0; k < count; ++k) {
        if (is_within(a, first + k, b, squares.row(k), squared_radii_of_b)) ++within;
      }
    }
    return static_cast<double>(within) / static_cast<double>(a.exact.rows());
  }

  template <typename Row>
  [[nodiscard]] bool is_within(const Points& a, Eigen::Index i, const Points& b, const Row& squares,
                               const std::vector<double>& limits) const {
    for (Eigen::Index j = 0; j < squares.size(); ++j) {
      const double limit = limits[static_cast<std::size_t>(j)];
      const double scaled = limit / (scale_ * scale_);
      const double unsure = uncertainty(a, i, b, j);
      if (squares[j] - unsure > scaled) continue;
      if (squares[j] + unsure < scaled || exact_square(a, i, b, j) <= limit) return true;
    }
    return false;
  }

  double scale_ = 1;
  Points real_;
  Points fake_;
  float margin_ = 0;
};

}  // namespace

PrecisionRecall precision_recall(const FeatureRows& real, const FeatureRows& fake, int neighbour) {
  if (neighbour < 1) {
    throw InputError(fmt::format("the {}-th nearest neighbour: give at least 1", neighbour));
  }
  auto a = checked_matrix(real, "the real features", std::int64_t{neighbour} + 1);
  auto b = checked_matrix(fake, "the fake features", std::int64_t{neighbour} + 1);
  check_same_width(a, b);
  return Distances(std::move(a), std::move(b))(neighbour);
}

}  // namespace l2c
