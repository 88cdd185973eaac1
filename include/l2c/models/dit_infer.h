// What the tensors of a checkpoint say of the model they belong to.
#pragma once

#include <optional>
#include <string>

#include "l2c/models/dit_config.h"
#include "l2c/models/weight_source.h"

namespace l2c {

// The configuration of a DiT with the official names, read off the tensors' shapes; nullopt when
// they are not those of a DiT. Three fields leave no trace in the shapes: num_heads is that of the
// preset with the same width and depth, else the largest up to the default that divides the width;
// class_dropout_prob is the default, and the last row of the label table is then the null label;
// without pos_embed input_size is the default.
std::optional<DiTConfig> infer_dit_config(const ShapeMap& shapes);

// "DiT-S/2 (12 blocks of width 384, patch 2, input 4 x 32 x 32, 1000 classes)", or "a DiT with 4
// blocks ..." when it is no preset.
std::string describe_dit(const DiTConfig& config);

}  // namespace l2c
