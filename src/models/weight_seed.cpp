#include "l2c/models/weight_seed.h"

#include <fmt/format.h>

#include <charconv>
#include <system_error>

#include "l2c/core/error.h"

namespace l2c {

std::uint64_t parse_weight_seed(std::string_view text) {
  constexpr std::string_view kind = "seeded:";
  std::uint64_t seed = 0;
  const char* const end = text.data() + text.size();
  if (text.starts_with(kind)) {
    const auto [rest, error] = std::from_chars(text.data() + kind.size(), end, seed);
    if (error == std::errc() && rest == end && seed <= largest_weight_seed) return seed;
  }
  throw InputError(
      fmt::format("cannot make weights from \"{}\": give \"seeded:S\" with a seed S of 0 to {}",
                  text, largest_weight_seed));
}

}  // namespace l2c
