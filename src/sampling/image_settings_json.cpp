// The text of image settings: one JSON object with plain values and lists of numbers.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "l2c/core/error.h"
#include "l2c/io/json_text.h"
#include "l2c/sampling/image_settings.h"

namespace l2c {

namespace {

using Json = nlohmann::ordered_json;

// Raised when a reader of this format would misunderstand what is written.
constexpr int format = 1;
constexpr std::size_t longest_text = 10'000;

void add_cache(Json& json, const ImageSettings& settings) {
  json["cache"] = settings.cache;
  if (!settings.policy.empty()) json["policy"] = settings.policy;
  if (!settings.router.empty()) json["router"] = settings.router;
  if (settings.threshold) json["threshold"] = *settings.threshold;
  if (!settings.recall.empty()) json["recall"] = settings.recall;
}

void add_request(Json& json, const Request& request) {
  json["labels"] = request.labels;
  json["per_class"] = request.per_class;
  if (request.seeds.empty()) {
    json["seed"] = request.seed;
    json["first_image"] = request.first_image;
  } else {
    json["seeds"] = request.seeds;
  }
  json["sampler"] = name_of(request.sampler);
  json["steps"] = request.steps.value_or(0);
  if (!request.spacing.empty()) json["spacing"] = request.spacing;
  json["eta"] = request.eta;
  json["guidance"] = request.guidance;
  json["guidance_channels"] = name_of(request.guidance_channels);
  // JSON has no infinity.
  if (request.guidance_range != TimestepRange{}) {
    json["guidance_range"] = {request.guidance_range.low, request.guidance_range.high};
  }
  json["batch_size"] = request.batch_size;
}

// The values of a parsed object, each checked.
class Fields {
 public:
  Fields(const nlohmann::json& json, const std::string& where) : json_(json), where_(where) {}

  [[nodiscard]] bool has(const char* name) const { return json_.contains(name); }

  // Printable ASCII: it will be shown on terminals.
  [[nodiscard]] std::string text(const char* name) const {
    const nlohmann::json& value = at(name);
    if (!value.is_string()) refuse(name, "has to be a text");
    auto text = value.get<std::string>();
    const bool printable = std::all_of(text.begin(), text.end(),
                                       [](char letter) { return letter >= ' ' && letter <= '~'; });
    if (!printable || text.size() > longest_text) {
      refuse(name, fmt::format("has to be printable ASCII of at most {} letters", longest_text));
    }
    return text;
  }

  [[nodiscard]] double number(const char* name) const { return number(name, at(name)); }

  template <typename Integer>
  [[nodiscard]] Integer whole(const char* name) const {
    return whole<Integer>(name, at(name));
  }

  template <typename Integer>
  [[nodiscard]] std::vector<Integer> wholes(const char* name) const {
    std::vector<Integer> values;
    for (const nlohmann::json& value : list(name)) values.push_back(whole<Integer>(name, value));
    return values;
  }

  [[nodiscard]] std::pair<double, double> two_numbers(const char* name) const {
    const nlohmann::json& values = list(name);
    if (values.size() != 2) refuse(name, "has to be two numbers");
    return {number(name, values[0]), number(name, values[1])};
  }

  [[nodiscard]] bool flag(const char* name) const {
    const nlohmann::json& value = at(name);
    if (!value.is_boolean()) refuse(name, "has to be true or false");
    return value.get<bool>();
  }

  [[noreturn]] void refuse(const char* name, const std::string& why) const {
    throw InputError(fmt::format("{}: its settings' \"{}\" {}", where_, name, why));
  }

 private:
  [[nodiscard]] const nlohmann::json& at(const char* name) const {
    const auto found = json_.find(name);
    if (found == json_.end()) refuse(name, "is missing");
    return *found;
  }

  [[nodiscard]] const nlohmann::json& list(const char* name) const {
    const nlohmann::json& value = at(name);
    if (!value.is_array()) refuse(name, "has to be a list");
    return value;
  }

  [[nodiscard]] double number(const char* name, const nlohmann::json& value) const {
    if (!value.is_number()) refuse(name, "has to be a number");
    const auto number = value.get<double>();
    if (!std::isfinite(number)) refuse(name, "has to be a finite number");
    return number;
  }

  template <typename Integer>
  [[nodiscard]] Integer whole(const char* name, const nlohmann::json& value) const {
    using Limits = std::numeric_limits<Integer>;
    if (value.is_number_unsigned()) {
      const auto number = value.get<std::uint64_t>();
      if (number <= static_cast<std::uint64_t>(Limits::max())) return static_cast<Integer>(number);
    } else if (value.is_number_integer()) {
      const auto number = value.get<std::int64_t>();
      if (std::is_signed_v<Integer> && number >= static_cast<std::int64_t>(Limits::min())) {
        return static_cast<Integer>(number);
      }
    }
    refuse(name,
           fmt::format("has to be whole numbers from {} to {}", Limits::min(), Limits::max()));
  }

  const nlohmann::json& json_;
  const std::string& where_;
};

void read_cache(const Fields& fields, ImageSettings& settings) {
  settings.cache = fields.text("cache");
  if (fields.has("policy")) settings.policy = fields.text("policy");
  if (fields.has("router")) settings.router = fields.text("router");
  if (fields.has("threshold")) settings.threshold = fields.number("threshold");
  if (fields.has("recall")) settings.recall = fields.text("recall");
}

SamplerKind read_sampler(const Fields& fields) {
  const auto name = fields.text("sampler");
  for (const auto kind : {SamplerKind::ddim, SamplerKind::ddpm, SamplerKind::folder}) {
    if (name == name_of(kind)) return kind;
  }
  fields.refuse("sampler", "has to be ddim, ddpm or folder");
}

GuidanceChannels read_channels(const Fields& fields) {
  const auto name = fields.text("guidance_channels");
  for (const auto kind : {GuidanceChannels::three, GuidanceChannels::all}) {
    if (name == name_of(kind)) return kind;
  }
  fields.refuse("guidance_channels", "has to be three or all");
}

Request read_request(const Fields& fields) {
  Request request;
  request.labels = fields.wholes<int>("labels");
  if (request.labels.empty()) fields.refuse("labels", "is empty");
  request.per_class = fields.whole<int>("per_class");
  if (fields.has("seeds")) {
    request.seeds = fields.wholes<std::uint64_t>("seeds");
  } else {
    request.seed = fields.whole<std::uint64_t>("seed");
    request.first_image = fields.whole<std::int64_t>("first_image");
  }
  request.sampler = read_sampler(fields);
  request.steps = fields.whole<int>("steps");
  if (fields.has("spacing")) request.spacing = fields.text("spacing");
  request.eta = fields.number("eta");
  request.guidance = fields.number("guidance");
  request.guidance_channels = read_channels(fields);
  if (fields.has("guidance_range")) {
    const auto [low, high] = fields.two_numbers("guidance_range");
    request.guidance_range = {.low = low, .high = high};
  }
  request.batch_size = fields.whole<int>("batch_size");
  return request;
}

}  // namespace

std::string to_text(const ImageSettings& settings) {
  Json json{{"format", format},
            {"version", settings.version},
            {"model", settings.model},
            {"architecture", settings.architecture},
            {"dtype", settings.dtype},
            {"device", settings.device},
            {"instruction_set", settings.instruction_set},
            {"vae", settings.vae}};
  add_cache(json, settings);
  if (!settings.scheduler.empty()) json["scheduler"] = settings.scheduler;
  add_request(json, settings.request);
  if (!settings.initial_noise.empty()) json["initial_noise"] = settings.initial_noise;
  if (settings.compared) json["compared"] = true;
  if (settings.image) json["image"] = *settings.image;
  constexpr int no_indent = -1;
  return json.dump(no_indent, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
}

ImageSettings parse_image_settings(std::string_view text, const std::string& where) {
  io::check_json_text(text, where);
  // Not in the order of the text: what keeps that looks each name up among all before it.
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    throw InputError(fmt::format("{}: its settings are no JSON object", where));
  }
  const Fields fields(json, where);
  if (fields.whole<int>("format") != format) {
    fields.refuse("format", fmt::format("is not {}: another version of l2c wrote it", format));
  }
  ImageSettings settings;
  settings.version = fields.text("version");
  settings.model = fields.text("model");
  settings.architecture = fields.text("architecture");
  settings.dtype = fields.text("dtype");
  settings.device = fields.text("device");
  settings.instruction_set = fields.text("instruction_set");
  settings.vae = fields.text("vae");
  read_cache(fields, settings);
  if (fields.has("scheduler")) settings.scheduler = fields.text("scheduler");
  settings.request = read_request(fields);
  if (fields.has("initial_noise")) settings.initial_noise = fields.text("initial_noise");
  if (fields.has("compared")) settings.compared = fields.flag("compared");
  if (fields.has("image")) settings.image = fields.whole<int>("image");
  return settings;
}

}  // namespace l2c
