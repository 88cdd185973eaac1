// Routers as labelled pictures. No LibTorch header behind it.
#pragma once

#include <string>

#include "l2c/cache/router.h"
#include "l2c/io/png.h"

namespace l2c {

// An RGB picture: a row for each step (noisiest on top), a column for each block, attention at the
// left and MLP at the right, with axes and a legend. The deeper a cell's colour, the higher the
// score. A cell is full where the branch is computed at this threshold, and only a small square
// where it is reused; steps in which everything is computed whatever the scores are gray. How many
// branches of a step are reused stands at its end. Routers that do not say their sampler are drawn
// as if every row decided. Texts are ASCII; anything else becomes '?'. Throws InputError: a
// threshold outside [0, 1], more than 1000 steps, or a picture of more than 2^26 pixels.
io::Bitmap draw_router_chart(const Router& router, double threshold, const std::string& title);

}  // namespace l2c
