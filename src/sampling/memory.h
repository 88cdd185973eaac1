// What a micro-batch takes beside the weights.
#pragma once

#include <cstdint>

#include "l2c/models/denoiser.h"

namespace l2c {

// An upper bound of the bytes that one image takes in a run: activations of one forward pass of a
// prepared model, latents, and `stored` branches kept between steps. Two batch rows when guided.
std::int64_t bytes_per_image(const Denoiser& model, bool guided, int stored);

// How many images fit into `limit` bytes (0: no limit), at most `wanted`. Throws InputError for a
// negative limit, and when not even one image fits; the message says what one takes.
int fitting_batch(std::int64_t limit, std::int64_t bytes_per_image, int wanted);

}  // namespace l2c
