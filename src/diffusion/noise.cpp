#include "l2c/diffusion/noise.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "l2c/core/error.h"

namespace l2c {

namespace {

using Counter = std::array<std::uint32_t, 4>;
using Key = std::array<std::uint32_t, 2>;

constexpr std::int64_t kLane = 4;                            // values a counter makes
constexpr std::int64_t kMostElements = kLane * (1LL << 32);  // one counter word counts them

constexpr std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
constexpr std::uint32_t high(std::uint64_t value) {
  return static_cast<std::uint32_t>(value >> 32U);
}

// The generator's two multipliers, and what is added to the key between the rounds.
constexpr std::uint64_t kMultiplier0 = 0xD2511F53;
constexpr std::uint64_t kMultiplier1 = 0xCD9E8D57;
constexpr Key kKeyStep{0x9E3779B9, 0xBB67AE85};

Counter one_round(const Counter& c, const Key& key) {
  const std::uint64_t product0 = kMultiplier0 * c[0];
  const std::uint64_t product1 = kMultiplier1 * c[2];
  return {high(product1) ^ c[1] ^ key[0], low(product1), high(product0) ^ c[3] ^ key[1],
          low(product0)};
}

// In double, so that the rounding to fp32 hides the last bits in which one libm differs from
// another.
std::array<float, 2> box_muller(std::uint32_t a, std::uint32_t b) {
  constexpr double unit = 1.0 / (1LL << 32);
  const double radius = std::sqrt(-2 * std::log((a + 0.5) * unit));
  const double angle = 2 * std::numbers::pi * (b * unit);
  return {static_cast<float>(radius * std::cos(angle)),
          static_cast<float>(radius * std::sin(angle))};
}

std::int64_t element_count(at::IntArrayRef shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) {
    if (size < 0 || (size > 0 && count > kMostElements / size)) {
      throw InputError(fmt::format(
          "noise of shape [{}] cannot be made: sizes must be at least 0, with at most {} "
          "elements in all",
          fmt::join(shape, ", "), kMostElements));
    }
    count *= size;
  }
  return count;
}

}  // namespace

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key) {
  constexpr int rounds = 10;
  for (int round = 0; round < rounds; ++round) {
    counter = one_round(counter, key);
    key = {key[0] + kKeyStep[0], key[1] + kKeyStep[1]};
  }
  return counter;
}

at::Tensor philox_normal(std::uint64_t seed, std::int64_t image, int step, at::IntArrayRef shape) {
  if (image < 0 || step < -1) {
    throw InputError(fmt::format(
        "noise of image {}, step {}: the image must be at least 0, the step at least -1", image,
        step));
  }
  const std::int64_t count = element_count(shape);
  const Key key{low(seed), high(seed)};
  const auto image_bits = static_cast<std::uint64_t>(image);
  const std::uint32_t step_word = static_cast<std::uint32_t>(step) + 1U;  // -1 becomes 0
  auto result = at::empty(shape, at::TensorOptions(at::kFloat).device(at::kCPU));
  float* const values = result.mutable_data_ptr<float>();
  constexpr std::int64_t grain = 1024;
  at::parallel_for(
      0, (count + kLane - 1) / kLane, grain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t block = begin; block < end; ++block) {
          const Counter words = philox4x32(
              {static_cast<std::uint32_t>(block), step_word, low(image_bits), high(image_bits)},
              key);
          const auto first = box_muller(words[0], words[1]);
          const auto second = box_muller(words[2], words[3]);
          const std::array<float, kLane> lane{first[0], first[1], second[0], second[1]};
          const std::int64_t offset = block * kLane;
          std::copy_n(lane.begin(), std::min(kLane, count - offset), values + offset);
        }
      });
  return result;
}

}  // namespace l2c
