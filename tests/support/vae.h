// The tiny VAE of shared/reference/vae_tiny/diffusers, made anew: its weights come from a seed.
#pragma once

#include <fmt/format.h>

#include <filesystem>

#include "l2c/io/file.h"
#include "l2c/io/safetensors.h"
#include "l2c/models/autoencoder.h"
#include "l2c/models/weight_source.h"
#include "support/golden.h"

namespace l2c::test {

inline AutoencoderConfig tiny_vae_config() {
  return autoencoder_config_from_json(io::read_text(data("vae_tiny/config.json")), "vae_tiny");
}

// The decoder's weights. Those of the encoder, which is not used, are numbers: but they count where
// the rule numbers names, and "encoder." lies between "decoder." and "post_quant_conv.".
inline io::TensorMap tiny_vae_weights() {
  constexpr int encoder_tensors = 52;
  constexpr std::uint64_t seed = 3;
  ShapeMap shapes = decoder_shapes(tiny_vae_config());
  for (int i = 0; i < encoder_tensors; ++i) shapes[fmt::format("encoder.{:02}", i)] = {1};
  const SeededWeights source(shapes, seed);
  io::TensorMap tensors;
  for (const auto& [name, shape] : shapes) tensors[name] = source.tensor(name).clone();
  return tensors;
}

// Makes the folder, as Diffusers stores a VAE; returns the file of the weights.
inline std::filesystem::path write_tiny_vae(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(data("vae_tiny/config.json"), folder / "config.json");
  auto file = folder / "diffusion_pytorch_model.safetensors";
  io::write_safetensors(file, tiny_vae_weights());
  return file;
}

}  // namespace l2c::test
