// Random choices that are the same on every system.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace l2c::soak {

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : engine_(seed) {}

  // 0 ... n - 1; n >= 1.
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(engine_() % n); }

  template <typename T>
  const T& of(const std::vector<T>& values) {
    return values[below(values.size())];
  }

  template <typename T>
  void shuffle(std::vector<T>& values) {
    for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[below(i)]);
  }

 private:
  std::mt19937_64 engine_;  // its numbers are the standard's; its distributions' are not
};

}  // namespace l2c::soak
