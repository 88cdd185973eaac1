// Reading a configuration's JSON object field by field. Private to models.
//
// Foreign JSON may be nested a million deep. Parsing and dropping it is no matter, but copying and
// dump() call themselves for each level: nothing here does either with a list or an object.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace l2c {

// Throws InputError, which starts with `where`: not JSON, or not an object, "like `example`".
nlohmann::json parse_json_object(std::string_view text, std::string_view where,
                                 std::string_view example);

// A value for a message: lists and objects by their kind only.
std::string shown(const nlohmann::json& json);

// Sets a value when the object has the field. Throws InputError naming `where`, field, expected
// type and what is there.
class JsonFields {
 public:
  // Both outlive this.
  JsonFields(const nlohmann::json& object, std::string_view where)
      : object_(object), where_(where) {}

  // Saturated beyond the range of int: a check of the range then names the field.
  void read(const char* field, int& value) const;
  void read(const char* field, double& value) const;
  void read(const char* field, bool& value) const;
  void read(const char* field, std::string& value) const;
  // Whether the field is there and not null.
  [[nodiscard]] bool has(const char* field) const;

 private:
  const nlohmann::json& object_;
  std::string_view where_;
};

}  // namespace l2c
