// Weights made from a seed, as an option says it. No LibTorch header behind it.
#pragma once

#include <cstdint>
#include <string_view>

namespace l2c {

// LibTorch's CPU generator keeps 32 bits of its seed: above this, weights would come back.
constexpr std::uint64_t largest_weight_seed = (std::uint64_t{1} << 27) - 1;

// The 3 of "seeded:3". Throws InputError for any other text and for a number above
// largest_weight_seed.
std::uint64_t parse_weight_seed(std::string_view text);

}  // namespace l2c
