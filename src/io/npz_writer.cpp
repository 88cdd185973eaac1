// Format: PKWARE's APPNOTE 6.3 (entries with data descriptors, zip64): a checksum follows its data,
// so that the file is written from beginning to end.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "l2c/core/error.h"
#include "l2c/io/file.h"
#include "l2c/io/npz.h"
#include "npy_header.h"

namespace l2c::io {

namespace {

constexpr std::uint16_t kDescriptorFollows = 1U << 3U;
constexpr std::uint16_t kFirstDay = 0x0021;  // 1980-01-01: equal content gives equal files
constexpr std::uint32_t kWide32 = 0xFFFFFFFF;
constexpr std::uint16_t kWide16 = 0xFFFF;
constexpr std::uint16_t kZip64Field = 1;

// Little-endian numbers, one after the other.
class Bytes {
 public:
  Bytes& u16(std::uint16_t value) { return raw(&value, sizeof value); }
  Bytes& u32(std::uint32_t value) { return raw(&value, sizeof value); }
  Bytes& u64(std::uint64_t value) { return raw(&value, sizeof value); }
  Bytes& text(std::string_view value) { return raw(value.data(), value.size()); }
  [[nodiscard]] const std::string& str() const { return bytes_; }

 private:
  Bytes& raw(const void* data, std::size_t size) {
    bytes_.append(static_cast<const char*>(data), size);
    return *this;
  }
  std::string bytes_;
};

struct Entry {
  std::string name;
  std::uint64_t header = 0;  // offset of the local header
  std::uint64_t size = 0;
  std::uint32_t checksum = 0;
  bool wide = false;  // its sizes are written in 64 bits
};

}  // namespace

struct NpzWriter::State {
  State(const std::filesystem::path& target, NpzWriterOptions given)
      : path(target), options(given), file(target) {}

  void write(std::string_view bytes) {
    file.write(bytes);
    offset += bytes.size();
  }
  void content(const void* data, std::size_t size) {
    auto& entry = entries.back();
    entry.checksum =
        static_cast<std::uint32_t>(crc32_z(entry.checksum, static_cast<const Bytef*>(data), size));
    write({static_cast<const char*>(data), size});
  }
  [[nodiscard]] bool is_wide(std::uint64_t value) const { return value >= options.zip64_from; }
  [[nodiscard]] std::uint32_t narrow(std::uint64_t value) const {
    return is_wide(value) ? kWide32 : static_cast<std::uint32_t>(value);
  }

  void local_header(const Entry& entry) {
    Bytes bytes;
    bytes.u32(0x04034b50).u16(entry.wide ? 45 : 20).u16(kDescriptorFollows).u16(0);
    bytes.u16(0).u16(kFirstDay).u32(0);
    bytes.u32(entry.wide ? kWide32 : 0).u32(entry.wide ? kWide32 : 0);
    bytes.u16(static_cast<std::uint16_t>(entry.name.size())).u16(entry.wide ? 20 : 0);
    bytes.text(entry.name);
    if (entry.wide) bytes.u16(kZip64Field).u16(16).u64(0).u64(0);
    write(bytes.str());
  }

  void descriptor(const Entry& entry) {
    Bytes bytes;
    bytes.u32(0x08074b50).u32(entry.checksum);
    if (entry.wide) {
      bytes.u64(entry.size).u64(entry.size);
    } else {
      bytes.u32(static_cast<std::uint32_t>(entry.size)).u32(static_cast<std::uint32_t>(entry.size));
    }
    write(bytes.str());
  }

  void directory_entry(const Entry& entry) {
    Bytes wide;
    if (entry.wide) wide.u64(entry.size).u64(entry.size);
    if (is_wide(entry.header)) wide.u64(entry.header);
    const auto wide_size = static_cast<std::uint16_t>(wide.str().size());
    const std::uint16_t version = wide_size > 0 ? 45 : 20;
    Bytes bytes;
    bytes.u32(0x02014b50).u16(version).u16(version).u16(kDescriptorFollows).u16(0);
    bytes.u16(0).u16(kFirstDay).u32(entry.checksum);
    bytes.u32(entry.wide ? kWide32 : static_cast<std::uint32_t>(entry.size));
    bytes.u32(entry.wide ? kWide32 : static_cast<std::uint32_t>(entry.size));
    bytes.u16(static_cast<std::uint16_t>(entry.name.size()));
    bytes.u16(static_cast<std::uint16_t>(wide_size > 0 ? wide_size + 4 : 0));
    bytes.u16(0).u16(0).u16(0).u32(0).u32(narrow(entry.header)).text(entry.name);
    if (wide_size > 0) bytes.u16(kZip64Field).u16(wide_size).text(wide.str());
    write(bytes.str());
  }

  void directory() {
    const auto start = offset;
    for (const auto& entry : entries) directory_entry(entry);
    const auto size = offset - start;
    const auto end = offset;
    const std::uint64_t count = entries.size();
    Bytes bytes;
    if (is_wide(start) || is_wide(size) || count >= kWide16) {
      bytes.u32(0x06064b50).u64(44).u16(45).u16(45).u32(0).u32(0);
      bytes.u64(count).u64(count).u64(size).u64(start);
      bytes.u32(0x07064b50).u32(0).u64(end).u32(1);
    }
    const auto count16 = static_cast<std::uint16_t>(std::min<std::uint64_t>(count, kWide16));
    bytes.u32(0x06054b50).u16(0).u16(0).u16(count16).u16(count16);
    bytes.u32(narrow(size)).u32(narrow(start)).u16(0);
    write(bytes.str());
  }

  void finish_array() {
    if (entries.empty() || finished) return;
    if (missing > 0) {
      throw InputError(
          fmt::format("'{}', array '{}': {} bytes of it are missing: append them first",
                      path.string(), entries.back().name, missing));
    }
    descriptor(entries.back());
    finished = true;
  }

  std::filesystem::path path;
  NpzWriterOptions options;
  AtomicFile file;
  std::uint64_t offset = 0;
  std::vector<Entry> entries;
  at::ScalarType dtype = at::kByte;
  std::uint64_t missing = 0;  // bytes of the last array
  bool finished = true;       // the last entry's descriptor is written
};

NpzWriter::NpzWriter(const std::filesystem::path& target, NpzWriterOptions options) {
  if (options.zip64_from > kWide32) {
    throw InputError(fmt::format("zip64 from {} bytes on: at most {} fits the format",
                                 options.zip64_from, kWide32));
  }
  state_ = std::make_unique<State>(target, options);
}

NpzWriter::~NpzWriter() = default;

void NpzWriter::begin(const std::string& name, at::ScalarType dtype,
                      std::vector<std::int64_t> shape) {
  auto& state = *state_;
  const auto where = fmt::format("'{}', array '{}'", state.path.string(), name);
  const auto file_name = fmt::format("{}.npy", name);
  const auto same = [&](const Entry& entry) { return entry.name == file_name; };
  if (name.empty() || name.size() > 1000 || std::ranges::any_of(state.entries, same)) {
    throw InputError(fmt::format("{}: names must be different and of 1 to 1000 bytes", where));
  }
  const auto header = npy_header_text(dtype, shape, where);
  const auto data =
      NpyHeader{.dtype = dtype, .shape = std::move(shape), .size = 0}.data_size(where);
  state.finish_array();
  Entry entry{.name = file_name, .header = state.offset, .size = header.size() + data};
  entry.wide = state.is_wide(entry.size);
  state.local_header(entry);
  state.entries.push_back(std::move(entry));
  state.finished = false;
  state.dtype = dtype;
  state.missing = data;
  state.content(header.data(), header.size());
}

void NpzWriter::append(const at::Tensor& part) {
  auto& state = *state_;
  if (state.finished) {
    throw InputError(fmt::format("'{}': begin an array first", state.path.string()));
  }
  const auto& name = state.entries.back().name;
  if (part.scalar_type() != state.dtype) {
    throw InputError(fmt::format("'{}', array '{}': a part of {} for an array of {}: convert it",
                                 state.path.string(), name, c10::toString(part.scalar_type()),
                                 c10::toString(state.dtype)));
  }
  if (part.nbytes() > state.missing) {
    throw InputError(fmt::format("'{}', array '{}': a part of {} bytes where {} are missing",
                                 state.path.string(), name, part.nbytes(), state.missing));
  }
  const auto values = part.cpu().contiguous();
  state.content(values.const_data_ptr(), values.nbytes());
  state.missing -= values.nbytes();
}

void NpzWriter::add(const std::string& name, const at::Tensor& tensor) {
  begin(name, tensor.scalar_type(), tensor.sizes().vec());
  append(tensor);
}

void NpzWriter::commit() {
  state_->finish_array();
  state_->directory();
  state_->file.commit();
}

}  // namespace l2c::io
