// The classifier's file.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "classifier_layers.h"
#include "l2c/core/error.h"
#include "l2c/evaluation/classifier.h"
#include "l2c/io/json_text.h"

namespace l2c {

namespace {

constexpr const char* kind_key = "kind";
constexpr const char* kind = "l2c-classifier";
constexpr const char* config_key = "config";

// Takes the fields out of a JSON object, one by one and by name.
class Fields {
 public:
  Fields(const std::string& text, std::string where) : where_(std::move(where)) {
    io::check_json_text(text, where_);
    json_ = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!json_.is_object()) throw InputError(fmt::format("{} is not a JSON object", where_));
  }
  int number(const char* name) { return integer(field(name), name); }
  void numbers(const char* name, std::array<int, ClassifierConfig::convolutions>& into) {
    const nlohmann::json& list = field(name);
    if (!list.is_array() || list.size() != into.size()) {
      throw InputError(fmt::format("{}: {} must be a list of {} integers, not {}", where_, name,
                                   into.size(), shown(list)));
    }
    for (std::size_t i = 0; i < into.size(); ++i) into[i] = integer(list[i], name);
  }
  void expect_no_more() const {
    for (const auto& [name, value] : json_.items()) {
      if (!taken_.contains(name)) {
        throw InputError(fmt::format("{}: unknown field {}; known are {}", where_, name,
                                     fmt::join(taken_, ", ")));
      }
    }
  }

 private:
  static std::string shown(const nlohmann::json& value) {
    return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  const nlohmann::json& field(const char* name) {
    taken_.insert(name);
    if (!json_.contains(name)) throw InputError(fmt::format("{} lacks {}", where_, name));
    return json_[name];
  }
  int integer(const nlohmann::json& value, const char* name) const {
    constexpr std::int64_t most = 1'000'000;
    if (!value.is_number_integer() || value.get<std::int64_t>() < -most ||
        value.get<std::int64_t>() > most) {
      throw InputError(
          fmt::format("{}: {} must be a small integer, not {}", where_, name, shown(value)));
    }
    return value.get<int>();
  }
  nlohmann::json json_;
  std::string where_;
  std::set<std::string> taken_;
};

ClassifierConfig parse_config(const std::string& text, const std::string& where) {
  Fields fields(text, where);
  ClassifierConfig config;
  config.channels = fields.number("channels");
  config.image_size = fields.number("image_size");
  config.num_classes = fields.number("num_classes");
  fields.numbers("widths", config.widths);
  fields.expect_no_more();
  check_classifier_config(config, where);
  return config;
}

}  // namespace

std::string classifier_config_json(const ClassifierConfig& config) {
  return nlohmann::ordered_json{{"channels", config.channels},
                                {"image_size", config.image_size},
                                {"num_classes", config.num_classes},
                                {"widths", config.widths}}
      .dump();
}

void Classifier::save(const std::filesystem::path& path, io::Metadata metadata) const {
  metadata[kind_key] = kind;
  metadata[config_key] = classifier_config_json(config_);
  io::write_safetensors(path, weights_, metadata);
}

std::shared_ptr<const Classifier> load_classifier(const std::filesystem::path& path) {
  const auto file = io::SafetensorsFile::open(path);
  const auto found = file.metadata().find(kind_key);
  const auto config = file.metadata().find(config_key);
  if (found == file.metadata().end() || found->second != kind || config == file.metadata().end()) {
    throw InputError(
        fmt::format("'{}' is no classifier (its metadata does not say {} \"{}\" with a {}): make "
                    "one with l2c train-classifier",
                    path.string(), kind_key, kind, config_key));
  }
  const std::string where = fmt::format("{}, metadata \"{}\"", path.string(), config_key);
  return std::make_shared<const Classifier>(parse_config(config->second, where), file.tensors(),
                                            path);
}

}  // namespace l2c
