#include "compare.h"

#include <fmt/format.h>

#include <cstring>
#include <tuple>

namespace l2c::soak {

namespace {

std::string latents_difference(const Latents& actual, const Latents& expected) {
  if (actual.shape != expected.shape || actual.values.size() != expected.values.size()) {
    return "latents of another shape";
  }
  std::size_t unlike = 0, first = 0;
  for (std::size_t i = 0; i < actual.values.size(); ++i) {
    // Bits, so that 0 and -0 differ and NaN equals itself.
    if (std::memcmp(&actual.values[i], &expected.values[i], sizeof(float)) == 0) continue;
    if (unlike++ == 0) first = i;
  }
  if (unlike == 0) return "";
  return fmt::format("{} of {} latents differ, the first at {}: {} instead of {}", unlike,
                     actual.values.size(), first, actual.values[first], expected.values[first]);
}

std::string image_difference(const Image& actual, const Image& expected) {
  const auto place = [](const Image& i) {
    return std::tuple(i.label, i.index, i.bitmap.width, i.bitmap.height, i.bitmap.channels);
  };
  if (place(actual) != place(expected)) {
    return fmt::format("picture {}: another label, index or size", expected.index);
  }
  if (actual.bitmap.pixels == expected.bitmap.pixels) return "";
  return fmt::format("picture {}: other pixels", expected.index);
}

bool same_counts(const RunStats& a, const RunStats& b) {
  const auto counts = [](const RunStats& s) {
    return std::tuple(s.steps, s.images, s.batch_size, s.computed, s.reused, s.cache_step_branches,
                      s.ideal_speedup, s.cache_bytes);
  };
  return counts(a) == counts(b);
}

}  // namespace

std::string difference(const Result& actual, const Result& expected) {
  const auto latents = latents_difference(actual.latents, expected.latents);
  if (!latents.empty()) return latents;
  if (actual.images.size() != expected.images.size()) return "another number of pictures";
  for (std::size_t i = 0; i < actual.images.size(); ++i) {
    const auto image = image_difference(actual.images[i], expected.images[i]);
    if (!image.empty()) return image;
  }
  return same_counts(actual.stats, expected.stats) ? "" : "other counts (RunStats)";
}

}  // namespace l2c::soak
