#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "json_fields.h"
#include "l2c/core/error.h"
#include "l2c/core/log.h"
#include "l2c/io/file.h"
#include "l2c/io/json_text.h"
#include "l2c/models/dit_config.h"

namespace l2c {

namespace {

using Json = nlohmann::json;

constexpr std::array known_fields{"input_size",  "patch_size", "in_channels", "hidden_size",
                                  "depth",       "num_heads",  "mlp_ratio",   "class_dropout_prob",
                                  "num_classes", "learn_sigma"};

void warn_of_unknown_fields(const Json& object, std::string_view where) {
  for (const auto& [field, value] : object.items()) {
    if (std::ranges::find(known_fields, field) == known_fields.end()) {
      log::warning(fmt::format("{}: \"{}\" is not a field of a DiT configuration: left unused",
                               where, field));
    }
  }
}

}  // namespace

DiTConfig dit_config_from_json(std::string_view json, std::string_view where) {
  const Json object = parse_json_object(json, where, to_json(DiTConfig{}));
  const JsonFields reader(object, where);
  DiTConfig config;
  reader.read("input_size", config.input_size);
  reader.read("patch_size", config.patch_size);
  reader.read("in_channels", config.in_channels);
  reader.read("hidden_size", config.hidden_size);
  reader.read("depth", config.depth);
  reader.read("num_heads", config.num_heads);
  reader.read("mlp_ratio", config.mlp_ratio);
  reader.read("class_dropout_prob", config.class_dropout_prob);
  reader.read("num_classes", config.num_classes);
  reader.read("learn_sigma", config.learn_sigma);
  warn_of_unknown_fields(object, where);
  check_dit_config(config, where);
  return config;
}

std::string to_json(const DiTConfig& config) {
  nlohmann::ordered_json json;
  json["input_size"] = config.input_size;
  json["patch_size"] = config.patch_size;
  json["in_channels"] = config.in_channels;
  json["hidden_size"] = config.hidden_size;
  json["depth"] = config.depth;
  json["num_heads"] = config.num_heads;
  json["mlp_ratio"] = config.mlp_ratio;
  json["class_dropout_prob"] = config.class_dropout_prob;
  json["num_classes"] = config.num_classes;
  json["learn_sigma"] = config.learn_sigma;
  return json.dump();
}

DiTConfig dit_config(const std::string& name_or_file) {
  const auto names = dit_preset_names();
  const std::filesystem::path path(name_or_file);
  std::error_code ignored;
  // A preset wins over a file of its name ("DiT-XL/2" is a path, too).
  if (std::ranges::find(names, name_or_file) == names.end() &&
      (path.extension() == ".json" || std::filesystem::exists(path, ignored))) {
    return dit_config_from_json(io::read_text(path, io::most_json_bytes), name_or_file);
  }
  try {
    return dit_preset(name_or_file);
  } catch (const InputError& error) {
    throw InputError(fmt::format("{}; nor is there a JSON file of that name", error.what()));
  }
}

}  // namespace l2c
