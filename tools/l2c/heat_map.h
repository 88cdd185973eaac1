// Plans as pictures of characters.
#pragma once

#include <string>

#include "l2c/cache/plan.h"

namespace l2c::cli {

// One line an evaluation, noisiest first; two characters a block (attention, MLP): '#' computed,
// '.' reused. With colour for a terminal.
std::string heat_map(const CachePlan& plan, const RunShape& shape, bool colour);

}  // namespace l2c::cli
