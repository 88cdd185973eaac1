// How far two sets of features are apart. Numbers in, numbers out; no LibTorch header behind it.
// Formulas: "Metric formulas" of shared/reference/README.md; sources named at each function.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

namespace l2c {

// Rows of equal length, row by row; what the span points at outlives the view. All arithmetic is in
// double.
struct FeatureRows {
  std::variant<std::span<const float>, std::span<const double>> values;
  std::int64_t rows = 0;
  std::int64_t width = 0;
};

// Mean and covariance (with 1 / (rows - 1)) in double.
struct GaussianStatistics {
  std::int64_t rows = 0;
  std::vector<double> mean;        // [width]
  std::vector<double> covariance;  // [width * width], symmetric
};

// Throws InputError: fewer than 2 rows, sizes that disagree, values that are not finite.
GaussianStatistics gaussian_statistics(const FeatureRows& features);

// The same from rows that come in parts, none of which is kept. Not thread-safe.
class GaussianAccumulator {
 public:
  // Throws InputError: another width than before, sizes that disagree, values that are not finite.
  void add(const FeatureRows& features);
  // Throws InputError: fewer than 2 rows so far.
  [[nodiscard]] GaussianStatistics statistics() const;

 private:
  std::int64_t rows_ = 0;
  std::vector<double> mean_;
  std::vector<double> squares_;  // [width * width]: sum of products of deviations, lower triangle
};

// |mu1 - mu2|^2 + tr(S1) + tr(S2) - 2 sum sqrt(eig(S1^.5 S2 S1^.5)) (Heusel et al., arXiv
// 1706.08500); never below 0. Covariances may be rank-deficient: directions whose variance is
// rounding noise are left out of the roots. Throws InputError for unlike widths, sizes that
// disagree, values that are not finite.
double frechet_distance(const GaussianStatistics& a, const GaussianStatistics& b);

// Unbiased squared maximum mean discrepancy with the kernel (x.y / width + 1)^3, one block of all
// rows (Binkowski et al., arXiv 1801.01401); may be negative. Throws InputError: fewer than 2 rows
// in a set, unlike widths, sizes that disagree, values that are not finite.
double kernel_inception_distance(const FeatureRows& real, const FeatureRows& fake);

struct PrecisionRecall {
  double precision = 0;
  double recall = 0;
};
// Precision: the share of fake points within (<=) the distance of any real point to its
// `neighbour`-th nearest other real point; recall: the same with the roles swapped (Kynkaanniemi et
// al., arXiv 1904.06991). Distances are worked out in blocks: beside both sets in double and fp32,
// at most 16 MiB (or one row of distances). Throws InputError: neighbour < 1, a set with no more
// than `neighbour` rows, unlike widths, sizes that disagree, values that are not finite.
PrecisionRecall precision_recall(const FeatureRows& real, const FeatureRows& fake,
                                 int neighbour = 3);

// Mean over blocks of `block_rows` rows of exp(mean_row sum p (ln p - ln mean p)); probabilities
// are softmax rows (Salimans et al., arXiv 1606.03498). rows must be a multiple of block_rows.
// Throws InputError for another number of rows, and for rows that are no probabilities (each
// value in [0, 1], sum 1 within 0.001).
double inception_score(const FeatureRows& probabilities, std::int64_t block_rows);

struct Interval {
  double value = 0;
  double low = 0;
  double high = 0;
};
// A share of successes with its Wilson interval at 95 %. Throws InputError unless 0 <= successes
// <= trials and trials > 0.
Interval share_interval(std::int64_t successes, std::int64_t trials);

}  // namespace l2c
