// A VAE's config.json, and the weights that it asks for.
#include <fmt/format.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "json_fields.h"
#include "l2c/core/error.h"
#include "l2c/core/words.h"
#include "l2c/models/autoencoder.h"

namespace l2c {

namespace {

using Json = nlohmann::json;

constexpr int largest_size = 1 << 14;
constexpr std::size_t most_levels = 6;
constexpr std::size_t longest_shown = 80;

[[noreturn]] void refuse(std::string_view where, const char* field, const Json& actual,
                         std::string_view expected) {
  throw InputError(
      fmt::format("{}: {} is {}; supported is {}: give another VAE, or none and keep the latents",
                  where, field, shown(actual), expected));
}

void check_class(const JsonFields& fields, std::string_view where) {
  std::string name;
  fields.read("_class_name", name);
  if (name == "AutoencoderKL") return;
  throw InputError(
      fmt::format("{}: _class_name is \"{}\", expected \"AutoencoderKL\": other VAEs "
                  "can't be used",
                  where, one_line(name, longest_shown)));
}

void check_kind(const Json& object, const JsonFields& fields, std::string_view where) {
  for (const char* field : {"shift_factor", "latents_mean", "latents_std"}) {
    if (fields.has(field)) refuse(where, field, object[field], "null");
  }
  if (object.contains("act_fn") && object["act_fn"] != "silu") {
    refuse(where, "act_fn", object["act_fn"], "silu");
  }
  if (!object.contains("up_block_types")) return;
  for (const Json& type : object["up_block_types"]) {
    if (type != "UpDecoderBlock2D") refuse(where, "up_block_types", type, "UpDecoderBlock2D");
  }
}

std::vector<int> read_channels(const Json& object, std::string_view where) {
  const Json missing;
  const Json& channels =
      object.contains("block_out_channels") ? object["block_out_channels"] : missing;
  std::vector<int> result;
  const bool is_list = channels.is_array() && !channels.empty() && channels.size() <= most_levels;
  for (std::size_t i = 0; is_list && i < channels.size(); ++i) {
    if (channels[i].is_number_integer() && channels[i] >= 1 && channels[i] <= largest_size) {
      result.push_back(channels[i].get<int>());
    }
  }
  if (!is_list || result.size() != channels.size()) {
    refuse(where, "block_out_channels", channels,
           fmt::format("a list of 1 to {} whole numbers, 1 to {}", most_levels, largest_size));
  }
  return result;
}

void check_range(std::string_view where, const char* field, int value, int largest) {
  if (value >= 1 && value <= largest) return;
  throw InputError(fmt::format("{}: {} is {}, but must be 1 ... {}", where, field, value, largest));
}

void check(const AutoencoderConfig& config, std::string_view where) {
  constexpr int most_layers = 16;
  check_range(where, "latent_channels", config.latent_channels, largest_size);
  check_range(where, "layers_per_block", config.layers_per_block, most_layers);
  check_range(where, "norm_num_groups", config.norm_num_groups, largest_size);
  if (config.out_channels != 1 && config.out_channels != 3) {
    throw InputError(
        fmt::format("{}: out_channels is {}; pictures have 1 or 3", where, config.out_channels));
  }
  if (!(config.scaling_factor > 0) || !std::isfinite(1 / config.scaling_factor)) {
    throw InputError(fmt::format("{}: scaling_factor is {}; expected a number above 0", where,
                                 config.scaling_factor));
  }
  for (const int channels : config.block_out_channels) {
    if (channels % config.norm_num_groups == 0) continue;
    throw InputError(
        fmt::format("{}: {} of block_out_channels is no multiple of norm_num_groups {}", where,
                    channels, config.norm_num_groups));
  }
}

void add_resnet(ShapeMap& shapes, const std::string& name, std::int64_t in, std::int64_t out) {
  const auto norm = [&](const char* layer, std::int64_t channels) {
    for (const char* end : {"weight", "bias"}) {
      shapes[fmt::format("{}.{}.{}", name, layer, end)] = {channels};
    }
  };
  const auto convolution = [&](const char* layer, std::int64_t from, std::int64_t size) {
    shapes[fmt::format("{}.{}.weight", name, layer)] = {out, from, size, size};
    shapes[fmt::format("{}.{}.bias", name, layer)] = {out};
  };
  norm("norm1", in);
  convolution("conv1", in, 3);
  norm("norm2", out);
  convolution("conv2", out, 3);
  if (in != out) convolution("conv_shortcut", in, 1);
}

}  // namespace

AutoencoderConfig autoencoder_config_from_json(std::string_view json, std::string_view where) {
  const Json object = parse_json_object(json, where, R"({"_class_name": "AutoencoderKL", ...})");
  const JsonFields fields(object, where);
  check_class(fields, where);
  check_kind(object, fields, where);
  AutoencoderConfig config;
  config.layers_per_block = 1;  // Diffusers' defaults, where they are others than the published VAE
  config.block_out_channels = read_channels(object, where);
  fields.read("latent_channels", config.latent_channels);
  fields.read("out_channels", config.out_channels);
  fields.read("layers_per_block", config.layers_per_block);
  fields.read("norm_num_groups", config.norm_num_groups);
  fields.read("scaling_factor", config.scaling_factor);
  fields.read("mid_block_add_attention", config.mid_block_add_attention);
  fields.read("use_post_quant_conv", config.use_post_quant_conv);
  check(config, where);
  return config;
}

ShapeMap decoder_shapes(const AutoencoderConfig& config) {
  ShapeMap shapes;
  const auto layer = [&](const std::string& name, std::vector<std::int64_t> shape) {
    shapes[name + ".bias"] = {shape.front()};
    shapes[name + ".weight"] = std::move(shape);
  };
  const std::int64_t latents = config.latent_channels;
  const std::int64_t finest = config.block_out_channels.front();
  std::int64_t width = config.block_out_channels.back();
  if (config.use_post_quant_conv) layer("post_quant_conv", {latents, latents, 1, 1});
  layer("decoder.conv_in", {width, latents, 3, 3});
  for (const char* name : {"decoder.mid_block.resnets.0", "decoder.mid_block.resnets.1"}) {
    add_resnet(shapes, name, width, width);
  }
  if (config.mid_block_add_attention) {
    const std::string attention = "decoder.mid_block.attentions.0.";
    layer(attention + "group_norm", {width});
    for (const char* name : {"to_q", "to_k", "to_v", "to_out.0"}) {
      layer(attention + name, {width, width});
    }
  }
  const std::size_t levels = config.block_out_channels.size();
  for (std::size_t level = 0; level < levels; ++level) {
    const std::int64_t out = config.block_out_channels[levels - 1 - level];
    const std::string block = fmt::format("decoder.up_blocks.{}.", level);
    for (int i = 0; i <= config.layers_per_block; ++i) {
      add_resnet(shapes, fmt::format("{}resnets.{}", block, i), i == 0 ? width : out, out);
    }
    width = out;
    if (level + 1 < levels) layer(block + "upsamplers.0.conv", {out, out, 3, 3});
  }
  layer("decoder.conv_norm_out", {finest});
  layer("decoder.conv_out", {config.out_channels, finest, 3, 3});
  return shapes;
}

}  // namespace l2c
