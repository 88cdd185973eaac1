#include "safetensors_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "l2c/core/error.h"
#include "l2c/core/words.h"

namespace l2c::io {

namespace {

using nlohmann::json;

constexpr std::array<std::pair<const char*, at::ScalarType>, 16> kDtypes{{
    {"BOOL", at::kBool},
    {"U8", at::kByte},
    {"I8", at::kChar},
    {"U16", at::kUInt16},
    {"I16", at::kShort},
    {"U32", at::kUInt32},
    {"I32", at::kInt},
    {"U64", at::kUInt64},
    {"I64", at::kLong},
    {"F16", at::kHalf},
    {"BF16", at::kBFloat16},
    {"F32", at::kFloat},
    {"F64", at::kDouble},
    {"C64", at::kComplexFloat},
    {"F8_E4M3", at::kFloat8_e4m3fn},
    {"F8_E5M2", at::kFloat8_e5m2},
}};

// Takes the parser's events instead of a tree: a tree of 100 MB of "[[[[" would need gigabytes, and
// would hide keys that occur twice.
class HeaderReader : public nlohmann::json_sax<json> {
 public:
  explicit HeaderReader(const std::string& file) : file_(file) {}

  // The parser keeps seven copies of the token that it is at, for its messages.
  void check_tokens(std::string_view text) const;
  Header take() { return std::move(header_); }

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_integer(number_integer_t value) override {
    return unexpected(fmt::format("the negative number {}", value));
  }
  bool number_float(number_float_t, const string_t& text) override {
    return unexpected(fmt::format("the number {}", text));
  }
  bool number_unsigned(number_unsigned_t value) override;
  bool string(string_t& value) override;
  bool binary(binary_t&) override { return unexpected("binary data"); }
  bool start_object(std::size_t) override;
  bool key(string_t& value) override;
  bool end_object() override;
  bool start_array(std::size_t) override;
  bool end_array() override;
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    fail(fmt::format("the header is not valid JSON at byte {}: {}", position,
                     std::string_view(error.what()).substr(0, 300)));
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    constexpr std::size_t longest = 500;
    throw InputError(
        fmt::format("'{}' is no valid safetensors file: {}; download or export it again", file_,
                    one_line(what, longest)));
  }
  void count(std::size_t number, std::size_t most, const char* what) const {
    if (number >= most) fail(fmt::format("it has more than {} {}", most, what));
  }
  void check_length(const std::string& name) const {
    if (name.size() > kLongestName) {
      fail(fmt::format("a name of {} bytes, {} are the most", name.size(), kLongestName));
    }
  }
  bool unexpected(const std::string& what) const {
    fail(fmt::format("{} holds {}, expected {}", place(), what, expected()));
  }
  [[nodiscard]] bool in_metadata() const { return depth_ == 2 && name_ == kMetadataKey; }
  [[nodiscard]] std::string place() const;
  [[nodiscard]] const char* expected() const;
  [[nodiscard]] HeaderEntry& entry() { return header_.tensors[name_]; }

  const std::string& file_;
  Header header_;
  bool metadata_seen_ = false;
  int depth_ = 0;
  bool in_array_ = false;
  std::string name_;              // key of the outer object
  std::string field_;             // key within it
  std::set<std::string> fields_;  // of a tensor, so far
};

// Behind the text that begins at `at` with its quotation mark, or that is never closed.
std::size_t end_of_text(std::string_view text, std::size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at) {
    if (text[at] == '\\') ++at;
  }
  return std::min(at + 1, text.size());
}

void HeaderReader::check_tokens(std::string_view text) const {
  constexpr std::size_t longest_number = 100;
  for (std::size_t at = 0; at < text.size();) {
    const bool is_text = text[at] == '"';
    const std::size_t end =
        is_text ? end_of_text(text, at)
                : std::min(text.find_first_not_of("0123456789+-.eE", at), text.size());
    const std::size_t most = is_text ? kLongestText : longest_number;
    if (end - at > most) {
      fail(fmt::format("a {} of {} bytes at byte {}, {} are the most", is_text ? "text" : "number",
                       end - at, at, most));
    }
    at = std::max(end, at + 1);
  }
}

std::string HeaderReader::place() const {
  if (depth_ == 0) return "the header";
  if (name_ == kMetadataKey) {
    return depth_ == 1 ? kMetadataKey : fmt::format("{} entry '{}'", kMetadataKey, field_);
  }
  if (depth_ == 1) return fmt::format("tensor '{}'", name_);
  return fmt::format("tensor '{}': {}", name_, field_);
}

const char* HeaderReader::expected() const {
  if (depth_ < 2) return "an object";
  if (in_metadata() || field_ == "dtype") return "a string";
  return in_array_ ? "whole numbers >= 0" : "a list of whole numbers >= 0";
}

bool HeaderReader::number_unsigned(number_unsigned_t value) {
  if (!in_array_) return unexpected(fmt::format("the number {}", value));
  auto& numbers = field_ == "shape" ? entry().shape : entry().data_offsets;
  if (numbers.size() == kMostAxes) {
    fail(fmt::format("{} holds more than {} numbers", place(), kMostAxes));
  }
  numbers.push_back(value);
  return true;
}

bool HeaderReader::string(string_t& value) {
  if (in_metadata()) {
    header_.metadata.at(field_) = std::move(value);
  } else if (depth_ == 2 && field_ == "dtype") {
    entry().dtype = std::move(value);
  } else {
    return unexpected(fmt::format("the string \"{}\"", value.substr(0, 80)));
  }
  return true;
}

bool HeaderReader::start_object(std::size_t) {
  if (depth_ == 2) return unexpected("an object");
  ++depth_;
  fields_.clear();
  return true;
}

bool HeaderReader::key(string_t& value) {
  if (depth_ == 1) {
    check_length(value);
    name_ = value;
    const bool metadata = name_ == kMetadataKey;
    if (!metadata) count(header_.tensors.size(), kMostTensors, "tensors");
    const bool fresh =
        metadata ? !std::exchange(metadata_seen_, true) : header_.tensors.try_emplace(name_).second;
    if (!fresh) fail(fmt::format("the name '{}' occurs twice", name_));
    return true;
  }
  check_length(value);
  field_ = value;
  if (in_metadata()) count(header_.metadata.size(), kMostEntries, "entries of metadata");
  const bool fresh =
      in_metadata() ? header_.metadata.try_emplace(field_).second : fields_.insert(field_).second;
  if (!fresh) fail(fmt::format("{} occurs twice", place()));
  if (!in_metadata() && field_ != "dtype" && field_ != "shape" && field_ != "data_offsets") {
    fail(fmt::format("tensor '{}' has the unknown field '{}'", name_, field_));
  }
  return true;
}

bool HeaderReader::end_object() {
  if (depth_ == 2 && !in_metadata()) {
    for (const char* field : {"dtype", "shape", "data_offsets"}) {
      if (!fields_.contains(field)) fail(fmt::format("tensor '{}' has no {}", name_, field));
    }
    if (entry().data_offsets.size() != 2) {
      fail(fmt::format("tensor '{}': data_offsets holds {} numbers, expected 2", name_,
                       entry().data_offsets.size()));
    }
  }
  --depth_;
  return true;
}

bool HeaderReader::start_array(std::size_t) {
  if (depth_ != 2 || in_metadata() || in_array_ || field_ == "dtype") return unexpected("a list");
  in_array_ = true;
  return true;
}

bool HeaderReader::end_array() {
  in_array_ = false;
  return true;
}

}  // namespace

bool looks_like_safetensors(std::span<const std::byte> bytes) noexcept {
  constexpr std::size_t header = 8;
  return bytes.size() > header && bytes[header] == std::byte{'{'};
}

std::optional<at::ScalarType> dtype_of_name(std::string_view name) {
  for (const auto& [known, dtype] : kDtypes) {
    if (name == known) return dtype;
  }
  return std::nullopt;
}

const char* name_of_dtype(at::ScalarType dtype) {
  for (const auto& [name, known] : kDtypes) {
    if (dtype == known) return name;
  }
  return nullptr;
}

Header parse_header(std::string_view text, const std::string& file) {
  HeaderReader reader(file);
  reader.check_tokens(text);
  json::sax_parse(text.begin(), text.end(), &reader);
  return reader.take();
}

}  // namespace l2c::io
