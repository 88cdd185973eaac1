#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <string>

#include "diffusers.h"
#include "json_fields.h"
#include "l2c/core/error.h"
#include "l2c/core/words.h"

namespace l2c {

namespace {

using Json = nlohmann::json;

constexpr std::size_t longest_shown = 80;

// What the official DiT is, said as Diffusers says it. A field that is left out has this value.
struct TextField {
  const char* name;
  const char* value;
};
constexpr std::array text_fields{TextField{"norm_type", "ada_norm_zero"},
                                 TextField{"activation_fn", "gelu-approximate"}};
struct Flag {
  const char* name;
  bool value;
};
constexpr std::array flags{Flag{"attention_bias", true}, Flag{"norm_elementwise_affine", false},
                           Flag{"only_cross_attention", false},
                           Flag{"double_self_attention", false},
                           Flag{"use_linear_projection", false}};
// Sizes of parts that the official DiT does not have.
constexpr std::array absent{"num_vector_embeds", "cross_attention_dim", "caption_channels"};

[[noreturn]] void refuse(std::string_view where, const char* field, std::string_view actual,
                         std::string_view expected) {
  throw InputError(
      fmt::format("{}: {} is {}; a DiT has {}: only models of the official DiT's kind can be "
                  "loaded",
                  where, field, one_line(actual, longest_shown), expected));
}

void check_class(const JsonFields& fields, std::string_view where) {
  std::string name;
  fields.read("_class_name", name);
  if (name == "DiTTransformer2DModel" || name == "Transformer2DModel") return;
  throw InputError(fmt::format(
      "{}: _class_name is \"{}\", expected \"DiTTransformer2DModel\" (or \"Transformer2DModel\" of "
      "older files): give the folder of a DiT pipeline, or its transformer",
      where, one_line(name, longest_shown)));
}

void check_kind(const Json& object, const JsonFields& fields, std::string_view where) {
  for (const TextField& field : text_fields) {
    std::string value = field.value;
    fields.read(field.name, value);
    if (value != field.value) refuse(where, field.name, value, field.value);
  }
  for (const Flag& flag : flags) {
    bool value = flag.value;
    fields.read(flag.name, value);
    if (value != flag.value)
      refuse(where, flag.name, value ? "true" : "false", fmt::format("{}", flag.value));
  }
  for (const char* name : absent) {
    if (fields.has(name)) refuse(where, name, shown(object[name]), "null");
  }
}

int need(const JsonFields& fields, const char* field, std::string_view where) {
  if (!fields.has(field)) {
    throw InputError(
        fmt::format("{}: {} is missing: the file is incomplete, download it again", where, field));
  }
  int value = 0;
  fields.read(field, value);
  return value;
}

int hidden_size(const JsonFields& fields, int heads, std::string_view where) {
  const int width = need(fields, "attention_head_dim", where);
  const auto hidden = std::int64_t{heads} * width;
  constexpr std::int64_t largest = 1 << 20;
  if (heads < 1 || width < 1 || hidden > largest) {
    throw InputError(fmt::format(
        "{}: {} heads (num_attention_heads) of width {} (attention_head_dim): both must be "
        "positive, their product at most {}",
        where, heads, width, largest));
  }
  return static_cast<int>(hidden);
}

bool learns_sigma(const JsonFields& fields, int in_channels, std::string_view where) {
  if (!fields.has("out_channels")) return false;
  const int out = need(fields, "out_channels", where);
  if (out == in_channels) return false;
  if (out == std::int64_t{2} * in_channels) return true;
  throw InputError(fmt::format("{}: out_channels is {} for in_channels {}; a DiT has {} or {}",
                               where, out, in_channels, in_channels,
                               std::int64_t{2} * in_channels));
}

// The table of positions is computed: no tensor of the file bounds its size.
void check_grid(const DiTConfig& config, std::string_view where) {
  constexpr int largest = 256;
  if (config.grid() <= largest) return;
  throw InputError(fmt::format(
      "{}: sample_size {} in patches of {} is a grid of {} a side, but at most {} can be loaded",
      where, config.input_size, config.patch_size, config.grid(), largest));
}

}  // namespace

DiTConfig diffusers_config(std::string_view json, std::string_view where) {
  const Json object =
      parse_json_object(json, where, R"({"_class_name": "DiTTransformer2DModel", ...})");
  const JsonFields fields(object, where);
  check_class(fields, where);
  check_kind(object, fields, where);
  DiTConfig config;
  config.input_size = need(fields, "sample_size", where);
  config.patch_size = need(fields, "patch_size", where);
  config.in_channels = need(fields, "in_channels", where);
  config.depth = need(fields, "num_layers", where);
  config.num_heads = need(fields, "num_attention_heads", where);
  config.hidden_size = hidden_size(fields, config.num_heads, where);
  config.num_classes = need(fields, "num_embeds_ada_norm", where);
  config.learn_sigma = learns_sigma(fields, config.in_channels, where);
  check_dit_config(config, where);
  check_grid(config, where);
  return config;
}

}  // namespace l2c
