// The configuration of a DiT: plain data, no LibTorch header behind it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "l2c/core/cost.h"

namespace l2c {

// Field names and defaults of the official constructor (facebookresearch/DiT, models.py).
struct DiTConfig {
  int input_size = 32;  // latents are input_size x input_size
  int patch_size = 2;
  int in_channels = 4;
  int hidden_size = 1152;
  int depth = 28;
  int num_heads = 16;
  double mlp_ratio = 4.0;
  double class_dropout_prob = 0.1;  // 0: no null label, guidance is impossible
  int num_classes = 1000;
  bool learn_sigma = true;

  // Width of the timestep sinusoids; the official code has no way to change it.
  static constexpr int frequency_embedding_size = 256;

  [[nodiscard]] int grid() const { return input_size / patch_size; }
  [[nodiscard]] int tokens() const { return grid() * grid(); }
  [[nodiscard]] int mlp_width() const { return static_cast<int>(hidden_size * mlp_ratio); }
  [[nodiscard]] int out_channels() const { return learn_sigma ? 2 * in_channels : in_channels; }
  friend bool operator==(const DiTConfig&, const DiTConfig&) = default;
};

// "DiT-XL/2", "DiT-S/8", ...: XL, L, B, S with patch 2, 4, 8 for 256 x 256 images, or with "-256" /
// "-512" appended; upper and lower case are the same. Throws InputError that lists the names.
DiTConfig dit_preset(std::string_view name);
// All of them, without "-256".
std::vector<std::string> dit_preset_names();

// The preset's name ("DiT-XL/2", "DiT-XL/2-512"), or "DiT (custom)" when any field differs.
std::string dit_name(const DiTConfig& config);

// Throws InputError, which starts with `where`, unless every size is positive, the patch divides
// the input, the heads divide the width, 4 divides the width (positions have four parts), and
// class_dropout_prob is in [0, 1].
void check_dit_config(const DiTConfig& config, std::string_view where);

// From JSON text with the constructor's field names; absent fields keep their defaults, unknown
// ones are logged as a warning. `where` (a file name) starts the error messages. Throws InputError:
// not JSON, wrong types, sizes that do not divide, values outside their range.
DiTConfig dit_config_from_json(std::string_view json, std::string_view where);
std::string to_json(const DiTConfig& config);

// The fields in which two configurations differ: "depth is 12 and 28, ...". Empty: none.
std::string differences(const DiTConfig& a, const DiTConfig& b);

// A preset's name, or the path of a JSON file (it exists or ends in ".json"). Throws InputError.
DiTConfig dit_config(const std::string& name_or_file);

// MACs as the paper counts them and in truth; one sample, no guidance.
ForwardCost forward_cost(const DiTConfig& config);

}  // namespace l2c
