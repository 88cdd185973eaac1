// A DiT in whatever kind of file or folder it comes.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "l2c/io/checkpoint.h"
#include "l2c/models/class_names.h"
#include "l2c/models/dit_config.h"
#include "l2c/models/weight_source.h"

namespace l2c {

// What DiT::load needs, and what lay beside it.
struct DiTSource {
  DiTConfig config;
  std::unique_ptr<const WeightSource> weights;  // by their official names
  std::string format;                           // "safetensors", "torch zip"
  bool from_diffusers = false;                  // had Diffusers' names
  // Of the folder of a Diffusers pipeline; empty for all else, and where there is none.
  ClassNames class_names{};
  std::filesystem::path scheduler{};  // its scheduler_config.json
  std::filesystem::path vae{};        // the folder of its VAE
};

// Whether these are names that Diffusers gives the weights of a transformer.
bool has_diffusers_names(const io::TensorMap& tensors);

// Opens, by what it is:
//   - a checkpoint with the official names (io::open_checkpoint), its configuration by
//     resolve_dit_config;
//   - one with Diffusers' names, its configuration the config.json beside it or, without one, arch;
//   - the folder of a Diffusers DiT pipeline, or of its transformer alone.
// An `arch` must agree with the configuration that is there. Weights of Diffusers become the
// official model: its arithmetic, not Diffusers'. Throws InputError: a folder or file that is none
// of these, no configuration or two that differ, tensors that do not fit it, copies of the
// embedders that differ from block to block.
DiTSource open_dit(const std::filesystem::path& path, const std::string& arch = "",
                   io::Weights weights = io::Weights::ema);

}  // namespace l2c
