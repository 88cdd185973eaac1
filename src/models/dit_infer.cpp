#include "l2c/models/dit_infer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "l2c/core/error.h"

namespace l2c {

namespace {

constexpr std::string_view block_prefix = "blocks.";

// Blocks 0 ... n - 1 of the names "blocks.<i>.*": n.
int count_blocks(const ShapeMap& shapes) {
  int blocks = 0;
  for (const auto& [name, shape] : shapes) {
    if (!name.starts_with(block_prefix)) continue;
    const char* const digits = name.data() + block_prefix.size();
    int block = 0;
    const auto [end, error] = std::from_chars(digits, name.data() + name.size(), block);
    if (error == std::errc() && *end == '.' && block >= 0 && block < (1 << 20)) {
      blocks = std::max(blocks, block + 1);
    }
  }
  return blocks;
}

// The size of one axis of a tensor; 0 when there is no such tensor or axis.
int size_of(const ShapeMap& shapes, const std::string& name, std::size_t axis) {
  const auto found = shapes.find(name);
  if (found == shapes.end() || found->second.size() <= axis) return 0;
  const auto size = found->second[axis];
  return size < (1 << 20) ? static_cast<int>(size) : 0;
}

int heads_for(int width, int depth) {
  for (const auto& name : dit_preset_names()) {
    const DiTConfig preset = dit_preset(name);
    if (preset.hidden_size == width && preset.depth == depth) return preset.num_heads;
  }
  int heads = DiTConfig{}.num_heads;
  while (width % heads != 0) --heads;
  return heads;
}

}  // namespace

std::optional<DiTConfig> infer_dit_config(const ShapeMap& shapes) {
  DiTConfig config;
  config.hidden_size = size_of(shapes, "x_embedder.proj.weight", 0);
  config.in_channels = size_of(shapes, "x_embedder.proj.weight", 1);
  config.patch_size = size_of(shapes, "x_embedder.proj.weight", 2);
  config.depth = count_blocks(shapes);
  config.num_classes = size_of(shapes, "y_embedder.embedding_table.weight", 0) - 1;
  const int mlp_width = size_of(shapes, "blocks.0.mlp.fc1.weight", 0);
  const int outputs = size_of(shapes, "final_layer.linear.weight", 0);
  if (config.hidden_size < 1 || config.depth < 1 || config.patch_size < 1) return std::nullopt;
  config.num_heads = heads_for(config.hidden_size, config.depth);
  config.mlp_ratio = static_cast<double>(mlp_width) / config.hidden_size;
  const std::int64_t pixels = static_cast<std::int64_t>(config.patch_size) * config.patch_size;
  config.learn_sigma = outputs == 2 * config.in_channels * pixels;
  const int tokens = size_of(shapes, "pos_embed", 1);
  const int grid = static_cast<int>(std::lround(std::sqrt(tokens)));
  if (grid > 0) config.input_size = grid * config.patch_size;
  try {
    check_dit_config(config, "");
  } catch (const InputError&) {
    return std::nullopt;
  }
  return config;
}

std::string describe_dit(const DiTConfig& config) {
  const std::string sizes =
      fmt::format("{} blocks of width {}, patch {}, input {} x {} x {}, {} classes", config.depth,
                  config.hidden_size, config.patch_size, config.in_channels, config.input_size,
                  config.input_size, config.num_classes);
  const std::string name = dit_name(config);
  const auto names = dit_preset_names();
  const bool preset = std::ranges::find(names, name) != names.end();
  return preset ? fmt::format("{} ({})", name, sizes) : fmt::format("a DiT with {}", sizes);
}

}  // namespace l2c
