// The shape of a run before there is a model. No LibTorch header behind it.
#pragma once

#include <optional>
#include <string>

#include "l2c/cache/plan.h"
#include "l2c/sampling/request.h"

namespace l2c {

// The model calls of a run of a model with `blocks` transformer blocks, as Pipeline::sample would
// make them. spacing and steps as in Request. Throws InputError: 0 or more than 1000 steps, an
// impossible spacing, or both given and disagreeing.
RunShape plan_shape(int blocks, const std::string& spacing, std::optional<int> steps,
                    const std::string& sampler);

// Batch rows that one image takes in a whole run: two where it is guided, one elsewhere. Throws
// InputError like plan_shape().
double rows_of_run(const Request& request);

}  // namespace l2c
