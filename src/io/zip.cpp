#include "zip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "l2c/core/error.h"

namespace l2c::io {

namespace {

constexpr std::uint32_t kLocalMark = 0x04034b50;      // PK\3\4
constexpr std::uint32_t kDirectoryMark = 0x02014b50;  // PK\1\2
constexpr std::uint32_t kEndMark = 0x06054b50;        // PK\5\6
constexpr std::uint32_t kEnd64Mark = 0x06064b50;      // PK\6\6
constexpr std::uint32_t kLocatorMark = 0x07064b50;    // PK\6\7

constexpr std::uint64_t kLocalSize = 30;
constexpr std::uint64_t kDirectorySize = 46;
constexpr std::uint64_t kEndSize = 22;
constexpr std::uint64_t kLocatorSize = 20;
constexpr std::uint64_t kLongestComment = 0xFFFF;

// Stand for "look into the zip64 record".
constexpr std::uint32_t kWide32 = 0xFFFFFFFF;
constexpr std::uint16_t kWide16 = 0xFFFF;

// More than deflate can make of one byte (its limit is 1032).
constexpr std::uint64_t kMostGrowth = 1040;

uLong checksum_of(std::span<const std::byte> data) {
  return crc32_z(0, reinterpret_cast<const Bytef*>(data.data()), data.size());
}

struct Inflation {
  Inflation() {
    constexpr int kRaw = -15;  // largest window, no header
    if (inflateInit2(&stream, kRaw) != Z_OK) throw RunError("no memory for zlib");
  }
  ~Inflation() { inflateEnd(&stream); }
  Inflation(const Inflation&) = delete;
  Inflation& operator=(const Inflation&) = delete;
  z_stream stream{};
};

// The packed bytes' content where they are one deflate stream of exactly this size; else nothing.
// Memory grows with what comes out: a false size costs no more than sixteen times that.
std::optional<std::vector<std::byte>> inflate_raw(std::span<const std::byte> packed,
                                                  std::uint64_t size) {
  constexpr std::size_t kPiece = std::size_t{1} << 30;  // zlib counts with 32 bits
  constexpr std::size_t kFirst = std::size_t{1} << 20;
  constexpr std::size_t kGrowth = 16;
  Inflation inflation;
  z_stream& stream = inflation.stream;
  std::vector<std::byte> content;
  std::size_t in = 0;
  std::size_t out = 0;
  int status = Z_OK;
  while (status == Z_OK) {
    if (out == content.size()) {
      content.resize(std::min<std::uint64_t>(size, std::max(kFirst, kGrowth * out)));
    }
    const auto in_size = std::min(packed.size() - in, kPiece);
    const auto out_size = std::min(content.size() - out, kPiece);
    // zlib does not write to its input; its interface is older than const.
    stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(packed.data() + in));
    stream.avail_in = static_cast<uInt>(in_size);
    stream.next_out = reinterpret_cast<Bytef*>(content.data() + out);
    stream.avail_out = static_cast<uInt>(out_size);
    status = inflate(&stream, Z_NO_FLUSH);
    in += in_size - stream.avail_in;
    out += out_size - stream.avail_out;
  }
  if (status == Z_MEM_ERROR) throw RunError("no memory for zlib");
  if (status != Z_STREAM_END || out != size) return std::nullopt;
  return content;
}

}  // namespace

ZipArchive::ZipArchive(std::shared_ptr<const MappedFile> file) : file_(std::move(file)) {
  read_directory(find_directory());
}

bool ZipArchive::recognises(std::span<const std::byte> bytes) noexcept {
  std::uint32_t mark = 0;
  if (bytes.size() < sizeof mark) return false;
  std::memcpy(&mark, bytes.data(), sizeof mark);
  return mark == kLocalMark || mark == kEndMark;
}

void ZipArchive::fail(const std::string& what) const {
  throw InputError(fmt::format("'{}' is a damaged or truncated zip file: {}; download it again",
                               file_->path().string(), what));
}

template <typename T>
T ZipArchive::read(std::uint64_t offset) const {
  const auto bytes = file_->bytes();
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) {
    fail(fmt::format("it has no byte {}", offset));
  }
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

ZipArchive::Directory ZipArchive::find_directory() const {
  const std::uint64_t size = file_->bytes().size();
  if (size < kEndSize) fail("it is too short for a table of contents");
  const std::uint64_t last = size - kEndSize;
  const std::uint64_t first = last > kLongestComment ? last - kLongestComment : 0;
  for (std::uint64_t end = last + 1; end-- > first;) {
    if (read<std::uint32_t>(end) != kEndMark) continue;
    const Directory directory{.offset = read<std::uint32_t>(end + 16),
                              .size = read<std::uint32_t>(end + 12),
                              .count = read<std::uint16_t>(end + 10)};
    const bool wide =
        directory.offset == kWide32 || directory.size == kWide32 || directory.count == kWide16;
    if (wide && end >= kLocatorSize && read<std::uint32_t>(end - kLocatorSize) == kLocatorMark) {
      return read_zip64(end - kLocatorSize);
    }
    return directory;
  }
  fail("the table of contents at its end is missing");
}

ZipArchive::Directory ZipArchive::read_zip64(std::uint64_t locator) const {
  const auto end = read<std::uint64_t>(locator + 8);
  if (end >= locator || read<std::uint32_t>(end) != kEnd64Mark) {
    fail("the zip64 table of contents is missing");
  }
  return {.offset = read<std::uint64_t>(end + 48),
          .size = read<std::uint64_t>(end + 40),
          .count = read<std::uint64_t>(end + 32)};
}

void ZipArchive::read_directory(const Directory& directory) {
  const std::uint64_t file_size = file_->bytes().size();
  if (directory.offset > file_size || directory.size > file_size - directory.offset) {
    fail("the table of contents reaches past the end");
  }
  const std::uint64_t end = directory.offset + directory.size;
  std::uint64_t at = directory.offset;
  std::uint64_t stored = 0;
  for (std::uint64_t i = 0; i < directory.count; ++i) {
    if (end - at < kDirectorySize || read<std::uint32_t>(at) != kDirectoryMark) {
      fail(fmt::format("entry {} of the table of contents is missing", i));
    }
    const std::uint64_t name_size = read<std::uint16_t>(at + 28);
    const std::uint64_t extra_size = read<std::uint16_t>(at + 30);
    const std::uint64_t comment_size = read<std::uint16_t>(at + 32);
    const std::uint64_t whole = kDirectorySize + name_size + extra_size + comment_size;
    if (whole > end - at) fail(fmt::format("entry {} of the table of contents is cut off", i));
    const auto* text = reinterpret_cast<const char*>(file_->bytes().data() + at + kDirectorySize);
    const std::string name(text, name_size);
    Entry entry{.header = read<std::uint32_t>(at + 42),
                .size = read<std::uint32_t>(at + 24),
                .packed_size = read<std::uint32_t>(at + 20),
                .checksum = read<std::uint32_t>(at + 16),
                .method = read<std::uint16_t>(at + 10),
                .encrypted = (read<std::uint16_t>(at + 8) & 1U) != 0};
    const std::uint64_t extra = at + kDirectorySize + name_size;
    widen(entry, extra, extra + extra_size);
    // Entries that share bytes would let a small file ask for a lot of memory.
    if (entry.method == 0) {
      if (entry.size > file_size - stored) fail("its entries are larger than the file");
      stored += entry.size;
    }
    if (!entries_.emplace(name, entry).second) fail(fmt::format("'{}' occurs twice", name));
    at += whole;
  }
}

// Takes 64-bit sizes and offset from the zip64 extra field, which holds those that did not fit, in
// this order.
void ZipArchive::widen(Entry& entry, std::uint64_t extra, std::uint64_t extra_end) const {
  constexpr std::uint16_t kZip64Field = 1;
  if (entry.size != kWide32 && entry.packed_size != kWide32 && entry.header != kWide32) return;
  while (extra_end - extra >= 4) {
    const auto kind = read<std::uint16_t>(extra);
    const std::uint64_t size = read<std::uint16_t>(extra + 2);
    std::uint64_t at = extra + 4;
    if (size > extra_end - at) break;
    extra = at + size;
    if (kind != kZip64Field) continue;
    for (std::uint64_t* value : {&entry.size, &entry.packed_size, &entry.header}) {
      if (*value != kWide32) continue;
      if (extra - at < sizeof *value) fail("a zip64 field is too short");
      *value = read<std::uint64_t>(at);
      at += sizeof *value;
    }
    return;
  }
  fail("a zip64 field is missing");
}

const ZipArchive::Entry* ZipArchive::find(const std::string& name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

const ZipArchive::Entry& ZipArchive::entry(const std::string& name) const {
  const Entry* entry = find(name);
  if (entry == nullptr) fail(fmt::format("it has no entry '{}'", name));
  return *entry;
}

std::span<const std::byte> ZipArchive::bytes(const std::string& name) const {
  const Entry& found = entry(name);
  if (found.method != 0 || found.encrypted) {
    throw InputError(fmt::format(
        "'{}': its entry '{}' is {}, which torch.save never does; unpack the archive and pack it "
        "without compression (zip -0), or save it again with torch.save",
        file_->path().string(), name, found.encrypted ? "encrypted" : "compressed"));
  }
  return data_of(found, name, found.size);
}

std::span<const std::byte> ZipArchive::data_of(const Entry& entry, const std::string& name,
                                               std::uint64_t size) const {
  const std::uint64_t header = entry.header;
  const auto file = file_->bytes();
  if (header > file.size() || file.size() - header < kLocalSize ||
      read<std::uint32_t>(header) != kLocalMark) {
    fail(fmt::format("the header of its entry '{}' is missing", name));
  }
  const std::uint64_t start =
      header + kLocalSize + read<std::uint16_t>(header + 26) + read<std::uint16_t>(header + 28);
  if (start > file.size() || size > file.size() - start) {
    fail(fmt::format("its entry '{}' is cut off", name));
  }
  return file.subspan(start, size);
}

std::vector<std::byte> ZipArchive::unpacked(const std::string& name) const {
  const Entry& found = entry(name);
  constexpr std::uint16_t kDeflated = 8;
  if (found.encrypted || (found.method != 0 && found.method != kDeflated)) {
    throw InputError(fmt::format(
        "'{}': its entry '{}' is {}: save it again, stored or deflated", file_->path().string(),
        name, found.encrypted ? "encrypted" : fmt::format("packed with method {}", found.method)));
  }
  if (found.method == 0) {
    const auto data = checked_bytes(name);
    return {data.begin(), data.end()};
  }
  const auto packed = data_of(found, name, found.packed_size);
  if (found.size / kMostGrowth > packed.size()) {
    fail(fmt::format("its entry '{}' cannot be as large as it says", name));
  }
  auto content = inflate_raw(packed, found.size);
  if (!content) fail(fmt::format("its entry '{}' cannot be unpacked", name));
  if (checksum_of(*content) != found.checksum) {
    fail(fmt::format("the checksum of its entry '{}' is wrong", name));
  }
  return std::move(*content);
}

std::span<const std::byte> ZipArchive::checked_bytes(const std::string& name) const {
  const auto data = bytes(name);
  // PyTorch writes 0 when it was told not to compute checksums (set_crc32_options).
  if (find(name)->checksum == 0) return data;
  if (checksum_of(data) != find(name)->checksum) {
    fail(fmt::format("the checksum of its entry '{}' is wrong", name));
  }
  return data;
}

}  // namespace l2c::io
