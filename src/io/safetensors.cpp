#include "l2c/io/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <tuple>
#include <utility>

#include "byte_size.h"
#include "l2c/core/error.h"
#include "l2c/core/words.h"
#include "safetensors_header.h"

namespace l2c::io {

namespace {

static_assert(std::endian::native == std::endian::little, "the files are read in place");

constexpr std::size_t kSizeBytes = 8;  // the header's size, a little-endian u64

constexpr std::size_t longest_remark = 500;

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& what) {
  throw InputError(fmt::format("'{}' is no valid safetensors file: {}; download or export it again",
                               path.string(), one_line(what, longest_remark)));
}

// The header's text, its size checked against the file's.
std::string_view header_text(const MappedFile& file) {
  const auto bytes = file.bytes();
  if (bytes.size() < kSizeBytes) {
    fail(file.path(), fmt::format("it has {} bytes, too few for a header", bytes.size()));
  }
  std::uint64_t size = 0;
  std::memcpy(&size, bytes.data(), kSizeBytes);
  if (size > kLargestHeader) {
    fail(file.path(), fmt::format("its first 8 bytes ask for a header of {} bytes, the format "
                                  "allows {}",
                                  size, kLargestHeader));
  }
  if (size > bytes.size() - kSizeBytes) {
    fail(file.path(), fmt::format("it ends within its header: {} bytes expected, {} there", size,
                                  bytes.size() - kSizeBytes));
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kSizeBytes, size);
  if (!text.starts_with('{')) fail(file.path(), "its header does not begin with '{'");
  // The JSON parser would take a zero byte for the end of the text.
  if (text.find('\0') != text.npos) fail(file.path(), "its header holds a zero byte");
  return text;
}

at::ScalarType check_entry(const std::filesystem::path& path, const std::string& name,
                           const HeaderEntry& entry, std::uint64_t data_size) {
  const auto dtype = dtype_of_name(entry.dtype);
  if (!dtype) {
    fail(path,
         fmt::format("tensor '{}' has the unknown dtype '{}'", name, entry.dtype.substr(0, 60)));
  }
  const std::uint64_t begin = entry.data_offsets[0], end = entry.data_offsets[1];
  if (begin > end) {
    fail(path, fmt::format("tensor '{}' ends (offset {}) before it begins ({})", name, end, begin));
  }
  if (end > data_size) {
    fail(path, fmt::format("tensor '{}' reaches to byte {} of the data, but only {} are there (a "
                           "truncated file?)",
                           name, end, data_size));
  }
  const auto size = byte_size(entry.shape, at::elementSize(*dtype));
  if (!size) {
    fail(path, fmt::format("tensor '{}': its shape [{}] is too large", name,
                           fmt::join(entry.shape, ", ")));
  }
  if (*size != end - begin) {
    fail(path, fmt::format("tensor '{}': {} of shape [{}] needs {} bytes, but its offsets span {}",
                           name, entry.dtype, fmt::join(entry.shape, ", "), *size, end - begin));
  }
  return *dtype;
}

// The tensors, put in order, must cover the data without a gap, an overlap or a rest.
void check_cover(const std::filesystem::path& path, const Header& header, std::uint64_t data_size) {
  std::vector<std::tuple<std::uint64_t, std::uint64_t, std::string_view>> spans;
  for (const auto& [name, entry] : header.tensors) {
    spans.emplace_back(entry.data_offsets[0], entry.data_offsets[1], name);
  }
  std::sort(spans.begin(), spans.end());
  std::uint64_t reached = 0;
  for (const auto& [begin, end, name] : spans) {
    if (begin != reached) {
      fail(path,
           fmt::format("tensor '{}' begins at byte {} of the data, but the one before it ends "
                       "at {} ({})",
                       name, begin, reached, begin > reached ? "a gap" : "an overlap"));
    }
    reached = end;
  }
  if (reached != data_size) {
    fail(path, fmt::format("{} bytes follow the last tensor", data_size - reached));
  }
}

}  // namespace

void SafetensorsFile::read_header() {
  const std::filesystem::path& file = file_->path();
  const std::string_view text = header_text(*file_);
  const std::size_t start = kSizeBytes + text.size();
  const std::uint64_t data_size = file_->bytes().size() - start;
  Header header = parse_header(text, file.string());
  for (const auto& [name, entry] : header.tensors) {
    const at::ScalarType dtype = check_entry(file, name, entry, data_size);
    entries_[name] = Entry{.dtype = dtype,
                           .shape = {entry.shape.begin(), entry.shape.end()},
                           .begin = start + entry.data_offsets[0],
                           .end = start + entry.data_offsets[1]};
  }
  check_cover(file, header, data_size);
  metadata_ = std::move(header.metadata);
}

std::string metadata_value(const Metadata& metadata, const std::string& name) {
  const auto found = metadata.find(name);
  return found == metadata.end() ? std::string() : found->second;
}

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& path) {
  return open(MappedFile::open(path));
}

SafetensorsFile SafetensorsFile::open(std::shared_ptr<const MappedFile> file) {
  SafetensorsFile result;
  result.file_ = std::move(file);
  result.read_header();
  return result;
}

const std::filesystem::path& SafetensorsFile::path() const noexcept { return file_->path(); }

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> result;
  for (const auto& [name, entry] : entries_) result.push_back(name);
  return result;
}

bool SafetensorsFile::contains(const std::string& name) const { return entries_.contains(name); }

at::Tensor SafetensorsFile::tensor(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    throw InputError(fmt::format("'{}' holds no tensor '{}'; it has: {}", path().string(), name,
                                 fmt::join(names(), ", ")));
  }
  const Entry& entry = found->second;
  const auto options = at::TensorOptions().dtype(entry.dtype);
  const std::byte* data = file_->bytes().data() + entry.begin;
  if (entry.begin == entry.end) return at::empty(entry.shape, options);
  if (reinterpret_cast<std::uintptr_t>(data) % at::elementSize(entry.dtype) != 0) {
    at::Tensor copy = at::empty(entry.shape, options);
    std::memcpy(copy.mutable_data_ptr(), data, entry.end - entry.begin);
    return copy;
  }
  return at::from_blob(
      const_cast<std::byte*>(data), entry.shape, [owner = file_](void*) {}, options);
}

TensorMap SafetensorsFile::tensors() const {
  TensorMap result;
  for (const auto& [name, entry] : entries_) result.emplace(name, tensor(name));
  return result;
}

}  // namespace l2c::io
