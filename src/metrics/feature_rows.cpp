#include "feature_rows.h"

#include <fmt/format.h>

#include "l2c/core/error.h"

namespace l2c {

namespace {

void check_finite(const RowMatrix& matrix, std::string_view what) {
  if (matrix.allFinite()) return;
  for (Eigen::Index row = 0; row < matrix.rows(); ++row) {
    if (matrix.row(row).allFinite()) continue;
    throw InputError(fmt::format(
        "row {} of {} holds NaN or infinity: look at the image it belongs to", row, what));
  }
}

}  // namespace

RowMatrix checked_matrix(const FeatureRows& features, std::string_view what, std::int64_t least) {
  if (features.rows < least) {
    throw InputError(
        fmt::format("{} have {} rows, at least {} are needed", what, features.rows, least));
  }
  if (features.width < 1) {
    throw InputError(fmt::format("{} have {} columns: give at least 1", what, features.width));
  }
  auto matrix = std::visit(
      [&](auto span) -> RowMatrix {
        using Value = typename decltype(span)::value_type;
        // Divided, not multiplied: the product of absurd sizes could overflow.
        const auto size = static_cast<std::int64_t>(span.size());
        if (size % features.width != 0 || size / features.width != features.rows) {
          throw InputError(fmt::format("{} have {} values, {} rows of {} need {} each", what, size,
                                       features.rows, features.width, features.width));
        }
        using Stored = Eigen::Matrix<Value, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
        return Eigen::Map<const Stored>(span.data(), features.rows, features.width)
            .template cast<double>();
      },
      features.values);
  check_finite(matrix, what);
  return matrix;
}

void check_same_width(const RowMatrix& real, const RowMatrix& fake) {
  if (real.cols() == fake.cols()) return;
  throw InputError(fmt::format(
      "the real features have {} columns, the fake ones {}: take both from the same network",
      real.cols(), fake.cols()));
}

}  // namespace l2c
