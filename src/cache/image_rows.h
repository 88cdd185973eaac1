// Deciding image by image, whatever else is in the batch.
#pragma once

#include <cstdint>
#include <vector>

#include "l2c/core/torch.h"

namespace l2c {

// Which batch rows are whose: of `rows`, row i and, with two rows an image, row i + rows / 2 are
// image i.
class ImageRows {
 public:
  // Throws Error when the rows are no multiple of rows_per_image.
  ImageRows(std::int64_t rows, int rows_per_image);

  [[nodiscard]] std::size_t images() const { return images_; }
  // The rows, ascending, of the images for which `of` (one entry an image) is `value`.
  [[nodiscard]] std::vector<std::int64_t> rows_where(const std::vector<char>& of, bool value) const;
  // For each image: sum |now - before| / sum |before| over its rows. now, before: [rows, T, D];
  // other tensors than fp32 are widened first. An image's result does not depend on the others.
  // One wait for a GPU.
  [[nodiscard]] std::vector<double> relative_change(const at::Tensor& now,
                                                    const at::Tensor& before) const;

 private:
  std::size_t images_;
  int rows_per_image_;
};

// Those rows of `from` [N, T, D] into the same rows of `into`, whose type it takes. rows:
// ascending.
void copy_rows(const at::Tensor& into, const at::Tensor& from,
               const std::vector<std::int64_t>& rows);

}  // namespace l2c
