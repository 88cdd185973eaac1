// Where a scatter chart's labels go.
#pragma once

#include "scatter_layout.h"

namespace l2c {

// Gives every point with a text its box: where it covers fewest labels, points and lines, and lies
// close.
void place_labels(ScatterLayout& layout, const ScatterChart& chart, const TextSize& text);

}  // namespace l2c
