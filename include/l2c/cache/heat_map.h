// Routers and plans as pictures. No LibTorch header behind it.
#pragma once

#include "l2c/cache/plan.h"
#include "l2c/cache/policies.h"
#include "l2c/io/png.h"

namespace l2c {

// One cell for each row and unit, noisiest step on top, a gap after each block (attention, MLP).
// Rows in which everything is computed whatever the scores (router_cache_steps()) are light gray.
// At the cache steps a branch that is computed at this threshold is orange, the deeper the higher
// its score; a reused one is dark, with a square inside that is the brighter the closer its score
// is to the threshold. RGB. Throws InputError for a run that the router was not trained for, as
// LearnedRouter::plan does.
io::Bitmap draw_router(const LearnedRouter& learned, const RunShape& shape);

// Any plan in the same way: evaluations in which the policy was not free to reuse are light gray;
// in the others a computed branch is orange and a reused one dark. RGB. Throws InputError for a
// plan without evaluations.
io::Bitmap draw_plan(const CachePlan& plan);

}  // namespace l2c
