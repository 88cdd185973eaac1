// How images are sampled, for reports.
#pragma once

#include <nlohmann/json.hpp>

#include "l2c/sampling/request.h"

namespace l2c {

// Steps, spacing, sampler, eta, guidance and guidance_channels; a number of steps is given even
// where the request leaves it open. Throws InputError for an impossible spacing.
nlohmann::ordered_json sampling_settings(const Request& request);

}  // namespace l2c
