#include "l2c/training/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "l2c/core/error.h"

namespace l2c {

void TrainingSettings::add(std::string name, std::string value) {
  entries_.emplace_back(std::move(name), std::move(value));
}
void TrainingSettings::add(std::string name, const char* value) {
  add(std::move(name), std::string(value));
}
void TrainingSettings::add(std::string name, double value) {
  add(std::move(name), fmt::format("{}", value));
}
void TrainingSettings::add(std::string name, std::int64_t value) {
  add(std::move(name), fmt::format("{}", value));
}
void TrainingSettings::add(std::string name, bool value) {
  add(std::move(name), std::string(value ? "yes" : "no"));
}

std::string TrainingSettings::to_json() const {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& [name, value] : entries_) json[name] = value;
  return json.dump();
}

TrainingSettings TrainingSettings::from_json(const std::string& json, const std::string& where) {
  const auto parsed = nlohmann::ordered_json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) {
    throw InputError(fmt::format("{}: the settings of the training are not a JSON object", where));
  }
  TrainingSettings settings;
  for (const auto& [name, value] : parsed.items()) {
    if (!value.is_string()) {
      throw InputError(fmt::format("{}: the setting {} is not a text", where, name));
    }
    settings.add(name, value.get<std::string>());
  }
  return settings;
}

std::vector<std::string> TrainingSettings::differences(const TrainingSettings& now,
                                                       const std::string& place) const {
  const auto find = [](const TrainingSettings& settings, const std::string& name) {
    return std::find_if(settings.entries_.begin(), settings.entries_.end(),
                        [&](const auto& entry) { return entry.first == name; });
  };
  std::vector<std::string> lines;
  for (const auto& [name, value] : entries_) {
    const auto other = find(now, name);
    if (other == now.entries_.end()) {
      lines.push_back(fmt::format("{}: {} in {}, unknown now", name, value, place));
    } else if (other->second != value) {
      lines.push_back(fmt::format("{}: {} in {}, {} now", name, value, place, other->second));
    }
  }
  for (const auto& [name, value] : now.entries_) {
    if (find(*this, name) == entries_.end()) {
      lines.push_back(fmt::format("{}: not in {}, {} now", name, place, value));
    }
  }
  return lines;
}

}  // namespace l2c
