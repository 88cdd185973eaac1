#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

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

[[noreturn]] void wrong_type(std::string_view where, const char* field, const char* expected,
                             const Json& actual) {
  constexpr std::size_t most_shown = 100;
  // What is broken in the text is shown as it can be.
  const auto text = actual.dump(-1, ' ', false, Json::error_handler_t::replace);
  throw InputError(
      fmt::format("{}: {} must be {}, not {}", where, field, expected, text.substr(0, most_shown)));
}

// Sets a field when the object has it.
class Reader {
 public:
  Reader(const Json& object, std::string_view where) : object_(object), where_(where) {}

  void read(const char* field, int& value) const {
    if (!object_.contains(field)) return;
    const Json& json = object_[field];
    if (!json.is_number_integer()) wrong_type(where_, field, "an integer", json);
    // Saturated: check_dit_config then names the field and its range.
    constexpr std::int64_t largest = std::numeric_limits<int>::max();
    value = json.is_number_unsigned() && json.get<std::uint64_t>() > std::uint64_t{largest}
                ? static_cast<int>(largest)
                : static_cast<int>(std::clamp(json.get<std::int64_t>(), -largest, largest));
  }
  void read(const char* field, double& value) const {
    if (!object_.contains(field)) return;
    const Json& json = object_[field];
    if (!json.is_number()) wrong_type(where_, field, "a number", json);
    value = json.get<double>();
  }
  void read(const char* field, bool& value) const {
    if (!object_.contains(field)) return;
    const Json& json = object_[field];
    if (!json.is_boolean()) wrong_type(where_, field, "true or false", json);
    value = json.get<bool>();
  }
  void warn_of_unknown_fields() const {
    for (const auto& [field, value] : object_.items()) {
      if (std::ranges::find(known_fields, field) == known_fields.end()) {
        log::warning(fmt::format("{}: \"{}\" is not a field of a DiT configuration: left unused",
                                 where_, field));
      }
    }
  }

 private:
  const Json& object_;
  std::string_view where_;
};

Json parse_object(std::string_view text, std::string_view where) {
  io::check_json_text(text, where);
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::exception& error) {  // out_of_range, too: 1e999 is not a number we can hold
    throw InputError(fmt::format("{}: not JSON: {}", where, error.what()));
  }
  if (!json.is_object()) {
    throw InputError(
        fmt::format("{}: a configuration is a JSON object, like {}", where, to_json(DiTConfig{})));
  }
  return json;
}

}  // namespace

DiTConfig dit_config_from_json(std::string_view json, std::string_view where) {
  const Json object = parse_object(json, where);
  const Reader reader(object, where);
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
  reader.warn_of_unknown_fields();
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
    return dit_config_from_json(io::read_text(path), name_or_file);
  }
  try {
    return dit_preset(name_or_file);
  } catch (const InputError& error) {
    throw InputError(fmt::format("{}; nor is there a JSON file of that name", error.what()));
  }
}

}  // namespace l2c
