#include "l2c/models/dit_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "l2c/core/error.h"

namespace l2c {

namespace {

struct Size {
  const char* name;
  int depth, width, heads;
};
constexpr std::array sizes{Size{"XL", 28, 1152, 16}, Size{"L", 24, 1024, 16},
                           Size{"B", 12, 768, 12}, Size{"S", 12, 384, 6}};
constexpr std::array patches{2, 4, 8};
constexpr std::array images{256, 512};
constexpr int latents_per_pixel = 8;  // the autoencoder's downsampling
// Far beyond any model; they keep the products of sizes from overflowing.
constexpr int largest_size = 1 << 20;
constexpr int largest_input = 1 << 15;

struct Preset {
  std::string name;
  DiTConfig config;
};

std::vector<Preset> presets() {
  std::vector<Preset> all;
  for (const int image : images) {
    for (const Size& size : sizes) {
      for (const int patch : patches) {
        DiTConfig config;
        config.input_size = image / latents_per_pixel;
        config.patch_size = patch;
        config.hidden_size = size.width;
        config.depth = size.depth;
        config.num_heads = size.heads;
        all.push_back(
            {fmt::format("DiT-{}/{}{}", size.name, patch, image == 512 ? "-512" : ""), config});
      }
    }
  }
  return all;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

void check_positive(std::string_view where, const char* field, int value,
                    int largest = largest_size) {
  if (value < 1 || value > largest) {
    throw InputError(
        fmt::format("{}: {} is {}, but must be 1 ... {}", where, field, value, largest));
  }
}

void check_divides(std::string_view where, const char* field, int value, const char* divisor_name,
                   int divisor) {
  if (value % divisor != 0) {
    throw InputError(fmt::format("{}: {} {} is not a multiple of {} {}", where, field, value,
                                 divisor_name, divisor));
  }
}

}  // namespace

DiTConfig dit_preset(std::string_view name) {
  const std::string wanted = lower(name);
  for (const Preset& preset : presets()) {
    const std::string known = lower(preset.name);
    if (wanted == known || (wanted == known + "-256" && !known.ends_with("-512"))) {
      return preset.config;
    }
  }
  throw InputError(fmt::format("\"{}\" is not a known architecture; known are {}", name,
                               fmt::join(dit_preset_names(), ", ")));
}

std::vector<std::string> dit_preset_names() {
  std::vector<std::string> names;
  for (Preset& preset : presets()) names.push_back(std::move(preset.name));
  return names;
}

std::string dit_name(const DiTConfig& config) {
  for (const Preset& preset : presets()) {
    if (preset.config == config) return preset.name;
  }
  return "DiT (custom)";
}

void check_dit_config(const DiTConfig& config, std::string_view where) {
  check_positive(where, "input_size", config.input_size, largest_input);
  check_positive(where, "patch_size", config.patch_size);
  check_positive(where, "in_channels", config.in_channels);
  check_positive(where, "hidden_size", config.hidden_size);
  check_positive(where, "depth", config.depth);
  check_positive(where, "num_heads", config.num_heads);
  check_positive(where, "num_classes", config.num_classes);
  check_divides(where, "input_size", config.input_size, "patch_size", config.patch_size);
  check_divides(where, "hidden_size", config.hidden_size, "num_heads", config.num_heads);
  check_divides(where, "hidden_size", config.hidden_size, "the four parts of a position,", 4);
  // Written so that NaN fails, too.
  const double mlp_width = config.mlp_ratio * config.hidden_size;
  if (!(mlp_width >= 1 && mlp_width <= largest_size)) {
    throw InputError(
        fmt::format("{}: mlp_ratio is {}, but mlp_ratio * hidden_size must be 1 ... {}", where,
                    config.mlp_ratio, largest_size));
  }
  if (!(config.class_dropout_prob >= 0 && config.class_dropout_prob <= 1)) {
    throw InputError(fmt::format("{}: class_dropout_prob is {}, but must be within [0, 1]", where,
                                 config.class_dropout_prob));
  }
}

std::string differences(const DiTConfig& a, const DiTConfig& b) {
  std::vector<std::string> found;
  const auto compare = [&](const char* field, auto x, auto y) {
    if (x != y) found.push_back(fmt::format("{} is {} and {}", field, x, y));
  };
  compare("input_size", a.input_size, b.input_size);
  compare("patch_size", a.patch_size, b.patch_size);
  compare("in_channels", a.in_channels, b.in_channels);
  compare("hidden_size", a.hidden_size, b.hidden_size);
  compare("depth", a.depth, b.depth);
  compare("num_heads", a.num_heads, b.num_heads);
  compare("mlp_ratio", a.mlp_ratio, b.mlp_ratio);
  compare("class_dropout_prob", a.class_dropout_prob, b.class_dropout_prob);
  compare("num_classes", a.num_classes, b.num_classes);
  compare("learn_sigma", a.learn_sigma, b.learn_sigma);
  return fmt::format("{}", fmt::join(found, ", "));
}

ForwardCost forward_cost(const DiTConfig& config) {
  const double width = config.hidden_size;
  const double tokens = config.tokens();
  const double patch = static_cast<double>(config.patch_size) * config.patch_size;
  const double qkv_and_proj = 4 * width * width * tokens;
  const double products = 2 * tokens * tokens * width;  // QK^T and AV
  const double mlp = 2 * width * config.mlp_width() * tokens;

  ForwardCost cost;
  for (int block = 0; block < config.depth; ++block) {
    cost.units.push_back({qkv_and_proj, qkv_and_proj + products});
    cost.units.push_back({mlp, mlp});
  }
  const double patch_embedding = tokens * patch * config.in_channels * width;
  const double time_mlp = (DiTConfig::frequency_embedding_size + width) * width;
  const double adaln = (6.0 * config.depth + 2) * width * width;
  const double final_layer = tokens * width * patch * config.out_channels();
  cost.rest = patch_embedding + time_mlp + adaln + final_layer;
  cost.branch_elements = static_cast<std::int64_t>(config.tokens()) * config.hidden_size;
  const std::int64_t d = config.hidden_size;
  const auto layer = [&](const char* name, BranchKind branch, std::int64_t in, std::int64_t out) {
    cost.layers.push_back(
        {.name = name, .branch = branch, .rows = config.tokens(), .in = in, .out = out});
  };
  layer("qkv", BranchKind::attention, d, 3 * d);
  layer("proj", BranchKind::attention, d, d);
  layer("fc1", BranchKind::mlp, d, config.mlp_width());
  layer("fc2", BranchKind::mlp, config.mlp_width(), d);
  return cost;
}

}  // namespace l2c
