// The loss curve of a training.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "l2c/core/torch.h"

namespace l2c {

// Rows of named numbers, one every report_every steps; part of the checkpoint, so that a resumed
// training's curve has no hole.
class Curve {
 public:
  explicit Curve(std::vector<std::string> columns) : columns_(std::move(columns)) {}

  void add(std::vector<double> row);  // one value a column
  [[nodiscard]] const std::vector<std::string>& columns() const { return columns_; }
  [[nodiscard]] const std::vector<std::vector<double>>& rows() const { return rows_; }

  [[nodiscard]] at::Tensor to_tensor() const;  // [rows, columns] double
  void from_tensor(const at::Tensor& tensor);  // throws InputError for another number of columns
  // A header line and a line a row, aside and renamed.
  void write_csv(const std::filesystem::path& path) const;

 private:
  std::vector<std::string> columns_;
  std::vector<std::vector<double>> rows_;
};

}  // namespace l2c
