// The weights of a DiT: packed for use, and by their official names.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "l2c/io/safetensors.h"
#include "l2c/models/dit_config.h"
#include "l2c/models/weight_source.h"
#include "l2c/models/weights.h"
#include "l2c/ops/attention.h"
#include "l2c/ops/linear.h"
#include "l2c/ops/norm.h"

namespace l2c {

// Weights, packed for use. adaLN projections of all blocks are one product.
struct DiTWeights {
  struct Block {
    ops::Linear qkv, proj;  // attention
    ops::Linear fc1, fc2;   // MLP
  };
  ops::Linear patch;           // [D, in * p * p]: the patch convolution as a product
  at::Tensor pos_embed;        // [1, T, D]
  at::Tensor frequencies;      // [128]: of the timestep sinusoids
  ops::Linear time1, time2;    // timestep MLP
  at::Tensor label_embedding;  // [classes (+ 1), D]
  ops::Linear
      modulation;  // [depth * 6 * D + 2 * D, D]: every block's adaLN, then the final layer's
  std::vector<Block> blocks;
  ops::Linear final;  // [p * p * out_channels, D]

  // Of the products in the blocks. Embeddings and the final layer are always fp32.
  [[nodiscard]] at::ScalarType dtype() const { return ops::dtype(blocks.front().qkv); }
};

// Names and shapes of the official state_dict.
ShapeMap dit_shapes(const DiTConfig& config);

// Packs weights with the official names (all of dit_shapes() and no others, checked before):
// contiguous fp32 copies on the device, independent of the source, which is read once and released
// tensor by tensor. With `products` (fp32 or bf16) for inference alone: layers prepared for speed
// (ops::prepared), those of the blocks in that type. Every tensor is added to `fingerprint`.
DiTWeights pack_dit_weights(const DiTConfig& config, const WeightSource& source,
                            at::Device device = at::kCPU,
                            std::optional<at::ScalarType> products = {},
                            Fingerprint* fingerprint = nullptr);

// Weights of this model made from a seed; the positions are the computed ones. Throws InputError
// for a seed above largest_weight_seed.
SeededWeights seeded_dit_weights(const DiTConfig& config, std::uint64_t seed);

// The way back: tensors with the official names and shapes, views of the packed ones.
io::TensorMap unpack_dit_weights(const DiTConfig& config, const DiTWeights& weights);

// Calls `visit` for everything that training changes, in a fixed order: all but the positions and
// the sinusoids' frequencies. The names are those of the packed weights ("modulation.weight",
// "blocks.3.qkv.bias").
void for_each_parameter(DiTWeights& weights,
                        const std::function<void(const std::string& name, at::Tensor&)>& visit);

}  // namespace l2c
