#include "json_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "l2c/core/error.h"
#include "l2c/core/words.h"
#include "l2c/io/json_text.h"

namespace l2c {

namespace {

using Json = nlohmann::json;

[[noreturn]] void wrong_type(std::string_view where, const char* field, const char* expected,
                             const Json& actual) {
  throw InputError(fmt::format("{}: {} must be {}, not {}", where, field, expected, shown(actual)));
}

}  // namespace

std::string shown(const Json& json) {
  constexpr std::size_t longest = 80;
  if (json.is_structured()) return json.is_array() ? "a list" : "an object";
  return one_line(json.dump(-1, ' ', false, Json::error_handler_t::replace), longest);
}

Json parse_json_object(std::string_view text, std::string_view where, std::string_view example) {
  io::check_json_text(text, where);
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::exception& error) {  // out_of_range, too: 1e999 is not a number we can hold
    throw InputError(fmt::format("{}: not JSON: {}", where, one_line(error.what(), 400)));
  }
  if (!json.is_object()) {
    throw InputError(fmt::format("{}: a configuration is a JSON object, like {}", where, example));
  }
  return json;
}

void JsonFields::read(const char* field, int& value) const {
  if (!object_.contains(field)) return;
  const Json& json = object_[field];
  if (!json.is_number_integer()) wrong_type(where_, field, "an integer", json);
  constexpr std::int64_t largest = std::numeric_limits<int>::max();
  value = json.is_number_unsigned() && json.get<std::uint64_t>() > std::uint64_t{largest}
              ? static_cast<int>(largest)
              : static_cast<int>(std::clamp(json.get<std::int64_t>(), -largest, largest));
}

void JsonFields::read(const char* field, double& value) const {
  if (!object_.contains(field)) return;
  const Json& json = object_[field];
  if (!json.is_number()) wrong_type(where_, field, "a number", json);
  value = json.get<double>();
}

void JsonFields::read(const char* field, bool& value) const {
  if (!object_.contains(field)) return;
  const Json& json = object_[field];
  if (!json.is_boolean()) wrong_type(where_, field, "true or false", json);
  value = json.get<bool>();
}

void JsonFields::read(const char* field, std::string& value) const {
  if (!object_.contains(field)) return;
  const Json& json = object_[field];
  if (!json.is_string()) wrong_type(where_, field, "a text", json);
  value = json.get<std::string>();
}

bool JsonFields::has(const char* field) const {
  return object_.contains(field) && !object_[field].is_null();
}

}  // namespace l2c
