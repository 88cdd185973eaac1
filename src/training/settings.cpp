#include "l2c/training/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "l2c/core/error.h"
#include "l2c/io/json_text.h"
#include "utf8.h"

namespace l2c {

namespace {

using Json = nlohmann::ordered_json;
using Entries = std::vector<std::pair<std::string, std::string>>;

constexpr const char* notes_key = "notes";

const std::string* find(const Entries& entries, const std::string& name) {
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const auto& entry) { return entry.first == name; });
  return found == entries.end() ? nullptr : &found->second;
}

Json object_of(const Entries& entries) {
  Json json = Json::object();
  for (const auto& [name, value] : entries) json[name] = value;
  return json;
}

std::string text_of(const Json& value, const std::string& where, const std::string& name) {
  if (value.is_string()) return value.get<std::string>();
  throw InputError(fmt::format("{}: the setting {} is not a text", where, name));
}

std::string shown(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

Json parsed(const std::string& text) {
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

// A line for each field of two JSON objects that differs, or one for the two texts.
void compare(std::vector<std::string>& lines, const std::string& name, const std::string& saved,
             const std::string& now, const std::string& place) {
  if (saved == now) return;
  const Json a = parsed(saved);
  const Json b = parsed(now);
  if (!a.is_object() || !b.is_object()) {
    lines.push_back(fmt::format("{}: {} in {}, {} now", name, saved, place, now));
    return;
  }
  for (const auto& [field, value] : a.items()) {
    const auto other = b.find(field);
    if (other != b.end() && *other == value) continue;
    lines.push_back(fmt::format("{}.{}: {} in {}, {} now", name, field, shown(value), place,
                                other == b.end() ? "unknown" : shown(*other)));
  }
  for (const auto& [field, value] : b.items()) {
    if (a.contains(field)) continue;
    lines.push_back(fmt::format("{}.{}: not in {}, {} now", name, field, place, shown(value)));
  }
}

}  // namespace

void TrainingSettings::add(std::string name, std::string value) {
  entries_.emplace_back(std::move(name), valid_utf8(value));
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

void TrainingSettings::note(std::string name, std::string value) {
  notes_.emplace_back(std::move(name), valid_utf8(value));
}

std::optional<std::string> TrainingSettings::noted(const std::string& name) const {
  const std::string* found = find(notes_, name);
  return found == nullptr ? std::nullopt : std::optional(*found);
}

std::string TrainingSettings::to_json() const {
  Json json = object_of(entries_);
  if (!notes_.empty()) json[notes_key] = object_of(notes_);
  return json.dump();
}

TrainingSettings TrainingSettings::from_json(const std::string& json, const std::string& where) {
  io::check_json_text(json, where);
  const auto all = parsed(json);
  if (!all.is_object()) {
    throw InputError(fmt::format("{}: the settings of the training are not a JSON object", where));
  }
  TrainingSettings settings;
  for (const auto& [name, value] : all.items()) {
    if (name == notes_key && value.is_object()) {
      for (const auto& [note, text] : value.items()) {
        settings.note(note, text_of(text, where, note));
      }
    } else {
      settings.add(name, text_of(value, where, name));
    }
  }
  return settings;
}

std::vector<std::string> TrainingSettings::differences(const TrainingSettings& now,
                                                       const std::string& place) const {
  const auto is_note = [&](const std::string& name) {
    return find(notes_, name) != nullptr || find(now.notes_, name) != nullptr;
  };
  std::vector<std::string> lines;
  for (const auto& [name, value] : entries_) {
    if (is_note(name)) continue;
    if (const std::string* other = find(now.entries_, name)) {
      compare(lines, name, value, *other, place);
    } else {
      lines.push_back(fmt::format("{}: {} in {}, unknown now", name, value, place));
    }
  }
  for (const auto& [name, value] : now.entries_) {
    if (is_note(name) || find(entries_, name) != nullptr) continue;
    lines.push_back(fmt::format("{}: not in {}, {} now", name, place, value));
  }
  return lines;
}

}  // namespace l2c
