#include "metadata.h"

#include <fmt/format.h>

#include <charconv>
#include <system_error>

#include "l2c/core/error.h"

namespace l2c {

namespace {

template <typename Number>
void read(const io::SafetensorsFile& file, const std::string& key, Number& number) {
  const std::string& text = metadata_text(file, key);
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, number);
  if (error == std::errc() && end == last) return;
  throw InputError(
      fmt::format("{}: \"{}\" is \"{}\", not a number", file.path().string(), key, text));
}

}  // namespace

const std::string& metadata_text(const io::SafetensorsFile& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  if (found != file.metadata().end()) return found->second;
  throw InputError(fmt::format("{}: its metadata lacks \"{}\": it is no file of an l2c evaluation",
                               file.path().string(), key));
}

void read_metadata(const io::SafetensorsFile& file, const std::string& key, int& number) {
  read(file, key, number);
}
void read_metadata(const io::SafetensorsFile& file, const std::string& key, std::int64_t& number) {
  read(file, key, number);
}
void read_metadata(const io::SafetensorsFile& file, const std::string& key, double& number) {
  read(file, key, number);
}

}  // namespace l2c
