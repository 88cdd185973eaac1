#include "l2c/models/autoencoder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "l2c/core/error.h"

namespace l2c {

namespace {

constexpr double norm_epsilon = 1e-6;

}  // namespace

const at::Tensor& Autoencoder::weight(const std::string& name) const { return weights_.at(name); }

// Of any size; the result has the input's.
at::Tensor Autoencoder::convolution(const std::string& name, const at::Tensor& x) const {
  const at::Tensor& kernel = weight(name + ".weight");
  return at::conv2d(x, kernel, weight(name + ".bias"), /*stride=*/1, kernel.size(2) / 2);
}

at::Tensor Autoencoder::norm(const std::string& name, const at::Tensor& x) const {
  return at::group_norm(x, config_.norm_num_groups, weight(name + ".weight"),
                        weight(name + ".bias"), norm_epsilon);
}

at::Tensor Autoencoder::resnet(const std::string& name, const at::Tensor& x) const {
  at::Tensor hidden = convolution(name + ".conv1", at::silu(norm(name + ".norm1", x)));
  hidden = convolution(name + ".conv2", at::silu(norm(name + ".norm2", hidden)));
  const std::string shortcut = name + ".conv_shortcut";
  return hidden.add_(weights_.contains(shortcut + ".weight") ? convolution(shortcut, x) : x);
}

// One head over all places of the image.
at::Tensor Autoencoder::attention(const std::string& name, const at::Tensor& x) const {
  const auto linear = [&](const char* layer, const at::Tensor& input) {
    const std::string full = fmt::format("{}.{}", name, layer);
    return at::linear(input, weight(full + ".weight"), weight(full + ".bias"));
  };
  const at::Tensor tokens = norm(name + ".group_norm", x).flatten(2).transpose(1, 2);
  const auto head = [&](const char* layer) { return linear(layer, tokens).unsqueeze(1); };
  const at::Tensor mixed =
      at::scaled_dot_product_attention(head("to_q"), head("to_k"), head("to_v")).squeeze(1);
  return linear("to_out.0", mixed).transpose(1, 2).reshape(x.sizes()) + x;
}

at::Tensor Autoencoder::decode(const at::Tensor& latents) const {
  if (latents.dim() != 4 || latents.size(1) != config_.latent_channels ||
      !latents.is_floating_point()) {
    throw InputError(fmt::format("the VAE decodes latents [N, {}, h, w], not [{}] of type {}",
                                 config_.latent_channels, fmt::join(latents.sizes(), ", "),
                                 c10::toString(latents.scalar_type())));
  }
  const c10::InferenceMode inference;
  at::Tensor x = latents.to(weight("decoder.conv_in.weight").device(), at::kFloat) *
                 (1 / config_.scaling_factor);
  if (config_.use_post_quant_conv) x = convolution("post_quant_conv", x);
  x = resnet("decoder.mid_block.resnets.0", convolution("decoder.conv_in", x));
  if (config_.mid_block_add_attention) x = attention("decoder.mid_block.attentions.0", x);
  x = resnet("decoder.mid_block.resnets.1", x);
  const std::size_t levels = config_.block_out_channels.size();
  for (std::size_t level = 0; level < levels; ++level) {
    const std::string block = fmt::format("decoder.up_blocks.{}.", level);
    for (int layer = 0; layer <= config_.layers_per_block; ++layer) {
      x = resnet(fmt::format("{}resnets.{}", block, layer), x);
    }
    if (level + 1 == levels) break;
    const std::array<std::int64_t, 2> twice{2 * x.size(2), 2 * x.size(3)};
    x = convolution(block + "upsamplers.0.conv", at::upsample_nearest2d(x, twice));
  }
  return convolution("decoder.conv_out", at::silu(norm("decoder.conv_norm_out", x)));
}

}  // namespace l2c
