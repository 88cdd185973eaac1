#include "pixel_blocks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "l2c/core/error.h"

namespace l2c {

namespace {

at::Tensor joined(const std::vector<Features>& parts, at::Tensor Features::*member) {
  std::vector<at::Tensor> tensors;
  for (const auto& part : parts) {
    if (!(part.*member).defined()) return {};
    tensors.push_back(part.*member);
  }
  return at::cat(tensors);
}

}  // namespace

void check_any_pixels(const at::Tensor& pixels, const std::string& network) {
  const bool fit = pixels.defined() && pixels.dim() == 4 && pixels.size(0) > 0 &&
                   (pixels.size(1) == 1 || pixels.size(1) == 3) && pixels.size(2) > 0 &&
                   pixels.size(3) > 0 && pixels.is_floating_point();
  if (fit) return;
  throw InputError(
      fmt::format("{} takes floating-point pixels [N, 1 or 3, H, W] in [-1, 1], not {}", network,
                  pixels.defined() ? fmt::format("{} [{}]", at::toString(pixels.scalar_type()),
                                                 fmt::join(pixels.sizes(), ", "))
                                   : "nothing"));
}

Features in_blocks(const at::Tensor& pixels, std::int64_t most,
                   const std::function<Features(const at::Tensor&)>& network) {
  const at::NoGradGuard no_grad;
  std::vector<Features> parts;
  for (std::int64_t first = 0; first < pixels.size(0); first += most) {
    const auto size = std::min(most, pixels.size(0) - first);
    const auto images = pixels.narrow(0, first, size).to(at::kCPU, at::kFloat);
    if (!at::isfinite(images).all().item<bool>()) {
      throw InputError(fmt::format(
          "the pixels of images {} to {} hold values that are not finite: the model that made "
          "them, or the file that they came from, is broken",
          first, first + size - 1));
    }
    parts.push_back(network(images.expand({size, 3, images.size(2), images.size(3)})));
  }
  return {.features = joined(parts, &Features::features),
          .probabilities = joined(parts, &Features::probabilities),
          .spatial = joined(parts, &Features::spatial)};
}

at::Tensor spatial_rows(const at::Tensor& activations) {
  constexpr std::int64_t most = 7;
  const auto channels = std::min(most, activations.size(1));
  return activations.narrow(1, 0, channels).permute({0, 2, 3, 1}).flatten(1).contiguous();
}

}  // namespace l2c
