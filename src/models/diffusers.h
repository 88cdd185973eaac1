// DiT as Diffusers stores it (DiTTransformer2DModel; Transformer2DModel in older files), turned
// into the official one. Private to models.
//
// Only names and layout differ. Diffusers' own arithmetic does not agree with the official DiT's
// (frequencies of the timestep, a norm's epsilon, guidance on all channels); what is loaded here
// is the official model, so of its config only sizes are taken.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "l2c/io/checkpoint.h"
#include "l2c/models/class_names.h"
#include "l2c/models/dit_config.h"
#include "l2c/models/weight_source.h"

namespace l2c {

// Where the parts of a model lie. Paths are empty where there is nothing.
struct DiffusersFiles {
  std::filesystem::path config;   // of the transformer
  std::filesystem::path weights;  // safetensors, an index of them, or .bin
  std::filesystem::path scheduler;
  std::filesystem::path vae;  // the folder
  ClassNames class_names;
};

// A part's weights in its folder: diffusion_pytorch_model with one of the three endings. Throws
// InputError when there are none.
std::filesystem::path find_diffusers_weights(const std::filesystem::path& folder);

// A pipeline's folder (model_index.json of a DiTPipeline) or a transformer's (config.json). Throws
// InputError: neither, another pipeline, no weights, names of classes that are none.
DiffusersFiles find_diffusers(const std::filesystem::path& folder);

// From a transformer's config.json. `where` starts the messages. Throws InputError: another class,
// and whatever the official DiT does not have (norm_type, activation_fn, num_vector_embeds, ...).
DiTConfig diffusers_config(std::string_view json, std::string_view where);

// The configuration of a file of weights: `config` is the path of a config.json; empty: arch says
// it (open_dit). Throws InputError: neither of them, or two that differ.
DiTConfig diffusers_config_for(const std::string& arch, const std::filesystem::path& weights,
                               const std::filesystem::path& config);

// Names and shapes as Diffusers has them.
ShapeMap diffusers_shapes(const DiTConfig& config);

// Weights of Diffusers under their official names: q, k and v joined, the positions computed.
class DiffusersWeights final : public WeightSource {
 public:
  // Shares tensors and mapped files. Reads the embedders, which Diffusers keeps once a block.
  // Throws InputError: tensors missing, unexpected, misshapen or not floating-point (all listed, by
  // Diffusers' names); blocks whose embedders are not those of block 0 (named), which the official
  // DiT can't have.
  DiffusersWeights(const DiTConfig& config, const io::Checkpoint& checkpoint);

  [[nodiscard]] const std::string& description() const override { return stored_.description(); }
  [[nodiscard]] const ShapeMap& shapes() const override { return shapes_; }
  [[nodiscard]] at::ScalarType dtype(const std::string& name) const override;
  [[nodiscard]] at::Tensor tensor(const std::string& name) const override;
  void release(const std::string& name) const override;

 private:
  // The stored tensors that make up one of the model, stacked by rows.
  [[nodiscard]] const std::vector<std::string>& parts(const std::string& name) const;
  [[nodiscard]] at::Tensor stacked(const std::string& name) const;
  StoredWeights stored_;
  ShapeMap shapes_;  // of the official names
  std::map<std::string, std::vector<std::string>> parts_;
  at::Tensor positions_;
  mutable at::Tensor memory_;  // of the largest stacked one, for all: no holes are left in the heap
};

}  // namespace l2c
