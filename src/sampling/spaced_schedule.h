// From the two ways to say the steps to a schedule.
#pragma once

#include <optional>
#include <string>

#include "l2c/diffusion/schedule.h"

namespace l2c {

constexpr int default_steps = 20;

// See Request::steps and Request::spacing. Throws InputError.
Schedule spaced_schedule(const std::string& spacing, std::optional<int> steps);

}  // namespace l2c
