// What networks for any image size share.
#pragma once

#include <functional>
#include <string>

#include "l2c/core/torch.h"
#include "l2c/evaluation/feature_network.h"

namespace l2c {

// Throws InputError unless these are floating pixels [N, 1 or 3, H, W].
void check_any_pixels(const at::Tensor& pixels, const std::string& network);

// Joins what `network` gives for blocks of [n, 3, H, W] fp32 on the CPU, at most `most` images
// each; gray becomes three equal channels. Throws InputError for pixels that are not finite.
Features in_blocks(const at::Tensor& pixels, std::int64_t most,
                   const std::function<Features(const at::Tensor&)>& network);

// Of activations [N, C, h, w]: [N, h * w * c], the first c = min(7, C) channels, place by place
// (row by row, the channels within), as the rows of ADM's evaluator (openai/guided-diffusion,
// evaluations/evaluator.py) are: its mu_s and sigma_s fit no other order.
at::Tensor spatial_rows(const at::Tensor& activations);

}  // namespace l2c
