// The policies that cache ranges of blocks, by text.
#pragma once

#include <memory>

#include "l2c/cache/policy.h"
#include "spec_text.h"

namespace l2c {

// "first-block:THRESHOLD" with the options blocks, warm-up and most; "teacache:THRESHOLD" with
// coefficients ("2/-1/0", highest power first); "delta-dit:INTERVAL" with blocks and boundary. Null
// for another kind. Throws InputError: numbers outside their range, options that are not there.
std::shared_ptr<const CachePolicy> parse_range_policy(SpecText& spec);

}  // namespace l2c
