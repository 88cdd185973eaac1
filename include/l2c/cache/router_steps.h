// Routers for other numbers of steps. No LibTorch header behind it.
#pragma once

#include "l2c/cache/plan.h"
#include "l2c/cache/router.h"

namespace l2c {

// The router's logits at the timesteps of another run: between its cache steps' logits, with a
// straight line over the timesteps; beyond them, those of the nearest one. For a run of its own
// steps and spacing the router as it is. For a start of a training, or to try before one; threshold
// and group stay, model and sampler must fit as ever. Takes the router's own timesteps for evenly
// spread, which "N" steps are to within rounding.
// Throws InputError: another number of units, or a router without cache steps.
Router router_for(const Router& router, const RunShape& shape);

}  // namespace l2c
