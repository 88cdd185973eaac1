#include "l2c/training/curve.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "l2c/core/error.h"
#include "l2c/io/file.h"

namespace l2c {

void Curve::add(std::vector<double> row) {
  if (row.size() != columns_.size()) throw Error("a row of a curve needs one value a column");
  rows_.push_back(std::move(row));
}

at::Tensor Curve::to_tensor() const {
  const at::Tensor tensor = at::empty(
      {static_cast<std::int64_t>(rows_.size()), static_cast<std::int64_t>(columns_.size())},
      at::kDouble);
  double* next = tensor.mutable_data_ptr<double>();
  for (const auto& row : rows_) next = std::copy(row.begin(), row.end(), next);
  return tensor;
}

void Curve::from_tensor(const at::Tensor& tensor) {
  if (tensor.dim() != 2 || tensor.size(1) != static_cast<std::int64_t>(columns_.size())) {
    throw InputError(fmt::format("the checkpoint's curve has shape [{}], but must have {} columns",
                                 fmt::join(tensor.sizes(), ", "), columns_.size()));
  }
  const at::Tensor values = tensor.to(at::kCPU, at::kDouble).contiguous();
  const double* next = values.const_data_ptr<double>();
  const auto width = static_cast<std::ptrdiff_t>(columns_.size());
  rows_.clear();
  for (std::int64_t row = 0; row < values.size(0); ++row, next += width) {
    rows_.emplace_back(next, next + width);
  }
}

void Curve::write_csv(const std::filesystem::path& path) const {
  io::AtomicFile file(path);
  file.write(fmt::format("{}\n", fmt::join(columns_, ",")));
  for (const auto& row : rows_) file.write(fmt::format("{}\n", fmt::join(row, ",")));
  file.commit();
}

}  // namespace l2c
