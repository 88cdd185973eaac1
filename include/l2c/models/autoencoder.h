// The decoder of the VAE whose latents a DiT makes: Diffusers' AutoencoderKL (autoencoder_kl.py,
// vae.py), from "High-Resolution Image Synthesis with Latent Diffusion Models" (arXiv 2112.10752).
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "l2c/core/torch.h"
#include "l2c/io/safetensors.h"
#include "l2c/models/weight_source.h"

namespace l2c {

// Field names and defaults of Diffusers' config.json, where they are told from here.
struct AutoencoderConfig {
  int latent_channels = 4;
  int out_channels = 3;
  std::vector<int> block_out_channels{128, 256, 512, 512};  // from the finest level to the coarsest
  int layers_per_block = 2;
  int norm_num_groups = 32;
  double scaling_factor = 0.18215;  // latents are the encoder's times this
  bool mid_block_add_attention = true;
  bool use_post_quant_conv = true;

  // Pixels of a latent's side.
  [[nodiscard]] int scale() const { return 1 << (block_out_channels.size() - 1); }
};

// From a config.json; `where` (a file) starts the messages. Throws InputError: another class, a
// kind of VAE that is not carried out here, sizes out of range.
AutoencoderConfig autoencoder_config_from_json(std::string_view json, std::string_view where);

// Names and shapes of what decoding needs.
ShapeMap decoder_shapes(const AutoencoderConfig& config);

// Immutable after loading: any number of threads may decode at the same time.
class Autoencoder {
 public:
  // From a folder with config.json and diffusion_pytorch_model.safetensors (or its index, or .bin);
  // the names that attention had in older files are known, too. The encoder is not loaded. Throws
  // InputError: files missing, a configuration as above, weights that do not fit it (listed).
  static std::shared_ptr<const Autoencoder> load(const std::filesystem::path& folder,
                                                 at::Device device = at::kCPU);

  // latents [N, latent_channels, h, w] as a sampler leaves them, any device and floating type; they
  // are divided by the scaling factor here. Returns [N, out_channels, h * scale, w * scale] in
  // about [-1, 1], fp32, on the VAE's device. Takes memory for all N at once. Throws InputError for
  // another shape.
  [[nodiscard]] at::Tensor decode(const at::Tensor& latents) const;

  [[nodiscard]] const AutoencoderConfig& config() const { return config_; }
  // 32 hex digits of the decoder's weights and of what it does with latents.
  [[nodiscard]] const std::string& fingerprint() const { return fingerprint_; }

 private:
  Autoencoder(AutoencoderConfig config, io::TensorMap weights, std::string fingerprint)
      : config_(std::move(config)),
        weights_(std::move(weights)),
        fingerprint_(std::move(fingerprint)) {}
  [[nodiscard]] const at::Tensor& weight(const std::string& name) const;
  [[nodiscard]] at::Tensor convolution(const std::string& name, const at::Tensor& x) const;
  [[nodiscard]] at::Tensor norm(const std::string& name, const at::Tensor& x) const;
  [[nodiscard]] at::Tensor resnet(const std::string& name, const at::Tensor& x) const;
  [[nodiscard]] at::Tensor attention(const std::string& name, const at::Tensor& x) const;
  AutoencoderConfig config_;
  io::TensorMap weights_;  // fp32, contiguous, by Diffusers' names
  std::string fingerprint_;
};

}  // namespace l2c
