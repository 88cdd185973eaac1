#include "memory.h"

#include <fmt/format.h>

#include <algorithm>

#include "l2c/core/error.h"

namespace l2c {

std::int64_t bytes_per_image(const DenoiserInfo& info, at::ScalarType branch_dtype, bool guided,
                             int stored) {
  const auto element = static_cast<std::int64_t>(c10::elementSize(branch_dtype));
  const std::int64_t values = std::int64_t{info.tokens} * info.width;
  // In fp32: the residual stream, and what the final layer's norm gives.
  const std::int64_t stream = 2 * values * 4;
  // Of a branch: its input, its result, and where a sample is not done in one go either q, k, v and
  // their mix or the MLP's hidden values (4 widths in all published models).
  const std::int64_t branch = (2 + 4) * values * element;
  // Of the distinct rows, and spread over all.
  const std::int64_t modulations = 2 * std::int64_t{6 * info.blocks + 2} * info.width * 4;
  const std::int64_t pixels = std::int64_t{info.input_size} * info.input_size * 4;
  // The solver's intermediate values, and the model's output in two layouts.
  const std::int64_t latents = (12 * info.in_channels + 4 * info.out_channels) * pixels;
  const std::int64_t row = stream + branch + modulations + latents + stored * values * element;
  return (guided ? 2 : 1) * row;
}

int fitting_batch(std::int64_t limit, std::int64_t bytes_per_image, int wanted) {
  if (limit < 0) throw InputError(fmt::format("memory limit {}: give at least 0", limit));
  if (limit == 0) return wanted;
  const std::int64_t fitting = limit / bytes_per_image;
  if (fitting < 1) {
    throw InputError(fmt::format(
        "memory limit of {:.1f} MB: one image takes up to {:.1f} MB beside the weights; "
        "raise the limit, or reuse fewer branches",
        static_cast<double>(limit) * 1e-6, static_cast<double>(bytes_per_image) * 1e-6));
  }
  return static_cast<int>(std::min<std::int64_t>(fitting, wanted));
}

}  // namespace l2c
