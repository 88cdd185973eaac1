// The table of contents of a zip archive, and what must agree with it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "l2c/core/error.h"
#include "zip.h"

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
constexpr std::uint64_t kEnd64Size = 56;
constexpr std::uint64_t kLocatorSize = 20;
constexpr std::uint64_t kLongestComment = 0xFFFF;
// Of sizes and checksum behind an entry's data: shorter than any header.
constexpr std::uint64_t kLongestDescriptor = 24;

// Stand for "look into the zip64 record".
constexpr std::uint32_t kWide32 = 0xFFFFFFFF;
constexpr std::uint16_t kWide16 = 0xFFFF;

// Bits of an entry's flags.
constexpr std::uint16_t kEncrypted = 0x2041;    // also strong encryption, masked headers
constexpr std::uint16_t kSizesBehind = 0x0008;  // sizes and checksum follow the data

}  // namespace

std::uint64_t ZipArchive::find_end() const {
  const std::uint64_t size = file_->bytes().size();
  if (size < kEndSize) fail("it is too short for a table of contents");
  const std::uint64_t last = size - kEndSize;
  const std::uint64_t first = last > kLongestComment ? last - kLongestComment : 0;
  for (std::uint64_t end = last + 1; end-- > first;) {
    if (read<std::uint32_t>(end) != kEndMark) continue;
    if (end + kEndSize + read<std::uint16_t>(end + 20) != size) {
      fail("what follows its table of contents is not the comment that it announces");
    }
    return end;
  }
  fail("the table of contents at its end is missing");
}

ZipArchive::Directory ZipArchive::find_directory() const {
  const std::uint64_t end = find_end();
  const Directory narrow{.offset = read<std::uint32_t>(end + 16),
                         .size = read<std::uint32_t>(end + 12),
                         .count = read<std::uint16_t>(end + 10),
                         .limit = end};
  const bool has_locator =
      end >= kLocatorSize && read<std::uint32_t>(end - kLocatorSize) == kLocatorMark;
  if (!has_locator) {
    if (read<std::uint16_t>(end + 4) != 0 || read<std::uint16_t>(end + 8) != narrow.count) {
      fail("it is one part of a split archive");
    }
    return narrow;
  }
  // Some readers look at one record, some at the other.
  const Directory wide = read_zip64(end - kLocatorSize);
  if ((narrow.offset != kWide32 && narrow.offset != wide.offset) ||
      (narrow.size != kWide32 && narrow.size != wide.size) ||
      (narrow.count != kWide16 && narrow.count != wide.count)) {
    fail("its two tables of contents (zip and zip64) differ");
  }
  return wide;
}

ZipArchive::Directory ZipArchive::read_zip64(std::uint64_t locator) const {
  const auto end = read<std::uint64_t>(locator + 8);
  if (locator < kEnd64Size || end > locator - kEnd64Size ||
      read<std::uint32_t>(end) != kEnd64Mark) {
    fail("the zip64 table of contents is missing");
  }
  const Directory directory{.offset = read<std::uint64_t>(end + 48),
                            .size = read<std::uint64_t>(end + 40),
                            .count = read<std::uint64_t>(end + 32),
                            .limit = end};
  if (read<std::uint64_t>(end + 24) != directory.count) fail("it is one part of a split archive");
  return directory;
}

void ZipArchive::read_directory(const Directory& directory) {
  if (directory.offset > directory.limit || directory.size > directory.limit - directory.offset) {
    fail("the table of contents reaches past the end");
  }
  const std::uint64_t end = directory.offset + directory.size;
  // Some readers count offsets from the table of contents back: two archives in one file would be
  // one to us and another to them.
  if (end != directory.limit) {
    fail(fmt::format("{} bytes lie between its table of contents and its end",
                     directory.limit - end));
  }
  std::uint64_t at = directory.offset;
  for (std::uint64_t i = 0; i < directory.count; ++i) at = read_entry(at, end, i);
  if (at != end) fail("its table of contents holds more than the entries that it counts");
  check_overlaps(directory.offset);
}

// Takes in one entry of the table; where the next begins.
std::uint64_t ZipArchive::read_entry(std::uint64_t at, std::uint64_t end, std::uint64_t number) {
  if (end - at < kDirectorySize || read<std::uint32_t>(at) != kDirectoryMark) {
    fail(fmt::format("entry {} of the table of contents is missing", number));
  }
  const std::uint64_t name_size = read<std::uint16_t>(at + 28);
  const std::uint64_t extra_size = read<std::uint16_t>(at + 30);
  const std::uint64_t comment_size = read<std::uint16_t>(at + 32);
  const std::uint64_t whole = kDirectorySize + name_size + extra_size + comment_size;
  if (whole > end - at) fail(fmt::format("entry {} of the table of contents is cut off", number));
  const std::string name(text(at + kDirectorySize, name_size));
  Entry entry{.header = read<std::uint32_t>(at + 42),
              .data = 0,
              .size = read<std::uint32_t>(at + 24),
              .packed_size = read<std::uint32_t>(at + 20),
              .checksum = read<std::uint32_t>(at + 16),
              .method = read<std::uint16_t>(at + 10),
              .encrypted = (read<std::uint16_t>(at + 8) & kEncrypted) != 0};
  const std::uint64_t extra = at + kDirectorySize + name_size;
  const std::array wide{&entry.size, &entry.packed_size, &entry.header};
  widen(wide, extra, extra + extra_size);
  check_header(name, entry);
  if (!entries_.emplace(name, entry).second) fail(fmt::format("'{}' occurs twice", name));
  return at + whole;
}

// Takes 64-bit values from the zip64 extra field, which holds those that did not fit, in this
// order.
void ZipArchive::widen(std::span<std::uint64_t* const> values, std::uint64_t extra,
                       std::uint64_t extra_end) const {
  constexpr std::uint16_t kZip64Field = 1;
  const auto is_wide = [](const std::uint64_t* value) { return *value == kWide32; };
  if (std::ranges::none_of(values, is_wide)) return;
  while (extra_end - extra >= 4) {
    const auto kind = read<std::uint16_t>(extra);
    const std::uint64_t size = read<std::uint16_t>(extra + 2);
    std::uint64_t at = extra + 4;
    if (size > extra_end - at) break;
    extra = at + size;
    if (kind != kZip64Field) continue;
    for (std::uint64_t* value : values) {
      if (!is_wide(value)) continue;
      if (extra - at < sizeof *value) fail("a zip64 field is too short");
      *value = read<std::uint64_t>(at);
      at += sizeof *value;
    }
    return;
  }
  fail("a zip64 field is missing");
}

// The header before the entry's data, which other readers believe instead of the table.
void ZipArchive::check_header(const std::string& name, Entry& entry) const {
  const std::uint64_t header = entry.header;
  const std::uint64_t file_size = file_->bytes().size();
  if (header > file_size || file_size - header < kLocalSize ||
      read<std::uint32_t>(header) != kLocalMark) {
    fail(fmt::format("the header of its entry '{}' is missing", name));
  }
  const std::uint64_t name_size = read<std::uint16_t>(header + 26);
  const std::uint64_t extra = header + kLocalSize + name_size;
  entry.data = extra + read<std::uint16_t>(header + 28);
  if (entry.data > file_size || entry.packed_size > file_size - entry.data) {
    fail(fmt::format("its entry '{}' is cut off", name));
  }
  const bool encrypted = (read<std::uint16_t>(header + 6) & kEncrypted) != 0;
  if (text(header + kLocalSize, name_size) != name ||
      read<std::uint16_t>(header + 8) != entry.method || encrypted != entry.encrypted) {
    fail(fmt::format("the header of its entry '{}' and the table of contents differ", name));
  }
  check_header_sizes(name, entry, extra, entry.data);
}

void ZipArchive::check_header_sizes(const std::string& name, const Entry& entry,
                                    std::uint64_t extra, std::uint64_t extra_end) const {
  if (entry.stored() && entry.size != entry.packed_size) {
    fail(fmt::format("its entry '{}' is not compressed, but has two sizes", name));
  }
  std::uint64_t packed_size = read<std::uint32_t>(entry.header + 18);
  std::uint64_t size = read<std::uint32_t>(entry.header + 22);
  const auto checksum = read<std::uint32_t>(entry.header + 14);
  const std::array wide{&size, &packed_size};
  widen(wide, extra, extra_end);
  const bool behind = (read<std::uint16_t>(entry.header + 6) & kSizesBehind) != 0;
  const auto agrees = [behind](std::uint64_t here, std::uint64_t there) {
    return here == there || (behind && here == 0);
  };
  if (!agrees(size, entry.size) || !agrees(packed_size, entry.packed_size) ||
      !agrees(checksum, entry.checksum)) {
    fail(
        fmt::format("the sizes or checksum in the header of its entry '{}' and in the table of "
                    "contents differ",
                    name));
  }
}

// Entries that share bytes would let a small file ask for a lot of memory; an entry that is in no
// table of contents, in a gap between the others, is one more to readers that go from header to
// header.
void ZipArchive::check_overlaps(std::uint64_t limit) const {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> spans;
  spans.reserve(entries_.size());
  for (const auto& [name, entry] : entries_) {
    spans.emplace_back(entry.header, entry.data + entry.packed_size);
  }
  std::ranges::sort(spans);
  std::uint64_t reached = 0;
  for (const auto& [begin, end] : spans) {
    if (begin < reached) fail(fmt::format("two of its entries share the byte {}", begin));
    check_gap(reached, begin);
    reached = end;
  }
  if (reached > limit) fail("an entry reaches into the table of contents");
  check_gap(reached, limit);
}

void ZipArchive::check_gap(std::uint64_t begin, std::uint64_t end) const {
  if (end - begin <= kLongestDescriptor) return;
  fail(fmt::format("its bytes {} to {} belong to no entry", begin, end));
}

}  // namespace l2c::io
