// Features for tests.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "l2c/metrics/distribution.h"

namespace l2c::test {

// A table of numbers and a view of it.
template <typename T = double>
struct Table {
  std::vector<T> values;
  std::int64_t rows = 0;
  std::int64_t width = 0;

  operator FeatureRows() const {  // NOLINT(google-explicit-constructor): stands for its view
    return {.values = std::span<const T>(values), .rows = rows, .width = width};
  }
  [[nodiscard]] Table shifted(double by) const {
    auto copy = *this;
    for (T& value : copy.values) value = static_cast<T>(value + by);
    return copy;
  }
};

inline Table<> normal_table(std::int64_t rows, std::int64_t width, std::uint32_t seed,
                            double scale = 1) {
  std::mt19937 bits(seed);
  std::normal_distribution<double> normal(0, scale);
  Table<> table{.values = std::vector<double>(static_cast<std::size_t>(rows * width)),
                .rows = rows,
                .width = width};
  for (double& value : table.values) value = normal(bits);
  return table;
}

}  // namespace l2c::test
