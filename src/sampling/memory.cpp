#include "memory.h"

#include <fmt/format.h>

#include <algorithm>

#include "l2c/core/error.h"

namespace l2c {

namespace {

// A branch's input, and what each of its layers makes: the workspace keeps them all, because a
// block of memory serves its own size alone.
std::int64_t branch_values(const Denoiser& model) {
  const DenoiserInfo& info = model.info();
  const std::int64_t values = std::int64_t{info.tokens} * info.width;
  if (model.cost().layers.empty()) {
    constexpr int usual_widths =
        11;  // input; q, k, v; their mix, its product; 4 of the MLP, its product
    return values * usual_widths;
  }
  std::int64_t all = 2 * values;  // the input, and the mix of the attention
  for (const LayerShape& layer : model.cost().layers) all += layer.rows * layer.out;
  return all;
}

}  // namespace

std::int64_t bytes_per_image(const Denoiser& model, bool guided, int stored) {
  const DenoiserInfo& info = model.info();
  const auto element = static_cast<std::int64_t>(c10::elementSize(model.branch_dtype()));
  const std::int64_t values = std::int64_t{info.tokens} * info.width;
  // In fp32: the residual stream, and what the final layer's norm gives.
  const std::int64_t stream = 2 * values * 4;
  // Of the distinct rows, and spread over all.
  const std::int64_t modulations = 2 * std::int64_t{6 * info.blocks + 2} * info.width * 4;
  const std::int64_t pixels = std::int64_t{info.input_size} * info.input_size * 4;
  // The solver's intermediate values, and the model's output in two layouts.
  const std::int64_t latents = (12 * info.in_channels + 4 * info.out_channels) * pixels;
  const std::int64_t row =
      stream + branch_values(model) * element + modulations + latents + stored * values * element;
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
