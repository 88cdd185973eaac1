// Two results, bit for bit.
#pragma once

#include <l2c/l2c.h>

#include <string>

namespace l2c::soak {

// Empty where latents, pictures and counts are the same (times are not compared); otherwise what
// the first difference is.
std::string difference(const Result& actual, const Result& expected);

}  // namespace l2c::soak
