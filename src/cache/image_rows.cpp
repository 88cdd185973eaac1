#include "image_rows.h"

#include <fmt/format.h>

#include "l2c/core/error.h"

namespace l2c {

ImageRows::ImageRows(std::int64_t rows, int rows_per_image)
    : images_(rows_per_image < 1 ? 0 : static_cast<std::size_t>(rows / rows_per_image)),
      rows_per_image_(rows_per_image) {
  if (rows_per_image < 1 || rows % rows_per_image != 0) {
    throw Error(
        fmt::format("{} batch rows cannot be images of {} rows each", rows, rows_per_image));
  }
}

std::vector<std::int64_t> ImageRows::rows_where(const std::vector<char>& of, bool value) const {
  std::vector<std::int64_t> rows;
  for (std::size_t part = 0; part < static_cast<std::size_t>(rows_per_image_); ++part) {
    for (std::size_t image = 0; image < images_; ++image) {
      if ((of[image] != 0) == value) {
        rows.push_back(static_cast<std::int64_t>(part * images_ + image));
      }
    }
  }
  return rows;
}

std::vector<double> ImageRows::relative_change(const at::Tensor& now,
                                               const at::Tensor& before) const {
  // Row by row: a sum over some axes of the batch may be split, and so rounded, as its size goes.
  std::vector<at::Tensor> sums;
  for (std::int64_t row = 0; row < now.size(0); ++row) {
    const at::Tensor old = before.select(0, row).to(at::kFloat);
    sums.push_back((now.select(0, row).to(at::kFloat) - old).abs_().sum());
    sums.push_back(old.abs().sum());
  }
  const at::Tensor all = at::stack(sums).to(at::kCPU, at::kDouble);
  const auto* const sum = all.const_data_ptr<double>();
  std::vector<double> changes(images_);
  for (std::size_t image = 0; image < images_; ++image) {
    double difference = 0;
    double size = 0;
    for (std::size_t part = 0; part < static_cast<std::size_t>(rows_per_image_); ++part) {
      const std::size_t row = part * images_ + image;
      difference += sum[2 * row];
      size += sum[2 * row + 1];
    }
    changes[image] = difference / size;
  }
  return changes;
}

void copy_rows(const at::Tensor& into, const at::Tensor& from,
               const std::vector<std::int64_t>& rows) {
  if (static_cast<std::int64_t>(rows.size()) == from.size(0)) {
    into.copy_(from);
    return;
  }
  const at::Tensor index = at::tensor(rows, at::kLong).to(from.device());
  into.index_copy_(0, index, from.index_select(0, index).to(into.scalar_type()));
}

}  // namespace l2c
