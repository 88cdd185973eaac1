// Checked features as matrices.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <string_view>

#include "l2c/metrics/distribution.h"

namespace l2c {

using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// The features in double. `what` names them in messages ("the real features"). Throws InputError:
// fewer rows than `least`, no columns, sizes that disagree, values that are not finite.
RowMatrix checked_matrix(const FeatureRows& features, std::string_view what, std::int64_t least);

// Throws InputError unless both have the same number of columns.
void check_same_width(const RowMatrix& real, const RowMatrix& fake);

}  // namespace l2c
