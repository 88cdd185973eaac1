// Format: numpy.lib.format's documentation ("NPY format").
#include "npy_header.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

#include "byte_size.h"
#include "l2c/core/error.h"
#include "l2c/core/words.h"

namespace l2c::io {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kAlignment = 64;
constexpr std::size_t longest_remark = 300;
constexpr std::size_t most_axes = 64;  // numpy's own limit

struct Kind {
  std::string_view text;  // without the byte order
  at::ScalarType dtype;
};
constexpr std::array<Kind, 5> kKinds{{{"u1", at::kByte},
                                      {"i4", at::kInt},
                                      {"i8", at::kLong},
                                      {"f4", at::kFloat},
                                      {"f8", at::kDouble}}};

// {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }: the one dict that is written there.
class Parser {
 public:
  Parser(std::string_view text, const std::string& where) : rest_(text), where_(where) {}

  NpyHeader operator()() {
    expect("{");
    while (!accept("}")) {
      const auto key = string();
      expect(":");
      value(key);
      if (accept(",")) continue;
      expect("}");
      break;
    }
    if (!dtype_ || !shape_ || !order_seen_) fail("the header lacks descr, fortran_order or shape");
    return {.dtype = *dtype_, .shape = std::move(*shape_)};
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw InputError(fmt::format("{}: {}", where_, one_line(what, longest_remark)));
  }
  [[noreturn]] void fail_syntax() const {
    fail(fmt::format("its header is no .npy header near '{}': the file is damaged",
                     rest_.substr(0, 20)));
  }
  void skip() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\n'))
      rest_.remove_prefix(1);
  }
  bool accept(std::string_view token) {
    skip();
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  void expect(std::string_view token) {
    if (!accept(token)) fail_syntax();
  }
  std::string string() {
    skip();
    if (rest_.empty() || (rest_.front() != '\'' && rest_.front() != '"')) fail_syntax();
    const auto end = rest_.find(rest_.front(), 1);
    if (end == rest_.npos) fail_syntax();
    const std::string text(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return text;
  }
  void value(const std::string& key) {
    if (key == "descr") {
      descr();
    } else if (key == "fortran_order") {
      order();
    } else if (key == "shape") {
      shape();
    } else {
      fail(fmt::format("its header has an unknown key '{}'", key));
    }
  }
  void descr() {
    skip();
    if (rest_.starts_with("[")) {
      fail("it is an array of records; save its fields as arrays of their own");
    }
    const auto text = string();
    const std::string_view kind = std::string_view(text).substr(text.empty() ? 0 : 1);
    for (const auto& known : kKinds) {
      const bool any_order = known.dtype == at::kByte;  // one byte has none
      if (kind == known.text && (text.front() == '<' || (any_order && text.front() == '|'))) {
        dtype_ = known.dtype;
        return;
      }
    }
    fail(
        fmt::format("it is of type '{}'; expected little-endian u1, i4, i8, f4 or f8: convert it "
                    "with array.astype('<f4')",
                    text));
  }
  void order() {
    if (accept("True")) {
      fail("it is in Fortran order; save numpy.ascontiguousarray(array) instead");
    }
    expect("False");
    order_seen_ = true;
  }
  void shape() {
    expect("(");
    shape_.emplace();
    while (!accept(")")) {
      skip();
      std::int64_t size = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), size);
      if (error != std::errc{} || size < 0) fail_syntax();
      if (shape_->size() == most_axes) {
        fail(fmt::format("its shape has more than {} axes, numpy's limit: the file is damaged",
                         most_axes));
      }
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      shape_->push_back(size);
      if (accept(",")) continue;
      expect(")");
      break;
    }
  }

  std::string_view rest_;
  const std::string& where_;
  std::optional<at::ScalarType> dtype_;
  std::optional<std::vector<std::int64_t>> shape_;
  bool order_seen_ = false;
};

}  // namespace

std::uint64_t NpyHeader::data_size(const std::string& where) const {
  const auto bytes = byte_size(shape, c10::elementSize(dtype));
  if (bytes) return *bytes;
  const auto sizes = fmt::format("{}", fmt::join(shape, ", "));
  throw InputError(
      fmt::format("{}: its shape ({}) is impossible", where, one_line(sizes, longest_remark)));
}

NpyHeader parse_npy_header(std::span<const std::byte> bytes, const std::string& where) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  constexpr std::size_t kVersionEnd = 8;
  if (!text.starts_with(kMagic) || text.size() < kVersionEnd + 4) {
    throw InputError(fmt::format("{}: it is no .npy array", where));
  }
  const auto version = static_cast<unsigned>(bytes[6]);
  if (version < 1 || version > 3) {
    throw InputError(fmt::format("{}: its .npy version is {}; 1 to 3 can be read", where, version));
  }
  std::uint32_t length = 0;
  const std::size_t width = version == 1 ? 2 : 4;
  std::memcpy(&length, bytes.data() + kVersionEnd, width);
  const std::size_t start = kVersionEnd + width;
  if (length > text.size() - start) throw InputError(fmt::format("{}: it is cut off", where));
  auto header = Parser(text.substr(start, length), where)();
  header.size = start + length;
  return header;
}

std::string npy_header_text(at::ScalarType dtype, const std::vector<std::int64_t>& shape,
                            const std::string& where) {
  std::string descr;
  for (const auto& kind : kKinds) {
    if (kind.dtype == dtype) descr = fmt::format("{}{}", dtype == at::kByte ? '|' : '<', kind.text);
  }
  if (descr.empty()) {
    throw InputError(
        fmt::format("{}: arrays of {} cannot be written; convert it to u1, i4, i8, f4 "
                    "or f8",
                    where, c10::toString(dtype)));
  }
  // (3,) is a tuple, (3) is not.
  const auto sizes = fmt::format("{}{}", fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  auto text =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, sizes);
  constexpr std::size_t kStart = 10;
  const auto whole = (kStart + text.size() + kAlignment) / kAlignment * kAlignment;
  text.resize(whole - kStart - 1, ' ');
  text += '\n';
  const auto length = static_cast<std::uint16_t>(text.size());
  std::string header(kMagic);
  header += '\x01';
  header += '\0';
  header.append(reinterpret_cast<const char*>(&length), sizeof length);
  return header + text;
}

}  // namespace l2c::io
