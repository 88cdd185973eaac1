// A soak as JSON.
#pragma once

#include <string>
#include <vector>

#include "soak.h"
#include "verdict.h"

namespace l2c::soak {

std::string to_json(const Options& options, const Findings& findings,
                    const std::vector<Criterion>& criteria);

}  // namespace l2c::soak
