#include "zip.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "inflate.h"
#include "l2c/core/error.h"
#include "l2c/core/words.h"

namespace l2c::io {

namespace {

constexpr std::uint32_t kLocalMark = 0x04034b50;  // PK\3\4
constexpr std::uint32_t kEndMark = 0x06054b50;    // PK\5\6
constexpr std::uint16_t kDeflated = 8;

// More than deflate can make of one byte (its limit is 1032).
constexpr std::uint64_t kMostGrowth = 1040;

// Names can be 65,535 bytes long, and hold what a terminal would act on.
constexpr std::size_t longest_shown = 100;
constexpr std::size_t longest_remark = 500;

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
                               file_->path().string(), one_line(what, longest_remark)));
}

void ZipArchive::fail_beyond(std::uint64_t offset) const {
  fail(fmt::format("it has no byte {}", offset));
}

std::string_view ZipArchive::text(std::uint64_t offset, std::uint64_t size) const {
  const auto bytes = file_->bytes();
  if (offset > bytes.size() || size > bytes.size() - offset) fail_beyond(offset);
  return {reinterpret_cast<const char*>(bytes.data()) + offset, size};
}

const ZipArchive::Entry* ZipArchive::find(const std::string& name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

const ZipArchive::Entry& ZipArchive::readable(const std::string& name) const {
  const Entry* entry = find(name);
  if (entry == nullptr) fail(fmt::format("it has no entry '{}'", name));
  const bool deflated = entry->method == kDeflated;
  if (entry->encrypted || (entry->method != 0 && !deflated)) {
    throw InputError(fmt::format(
        "'{}': its entry '{}' is {}, only stored and deflated entries are read: unpack the archive "
        "and pack it again without {} (zip -0)",
        file_->path().string(), one_line(name, longest_shown),
        entry->encrypted ? "encrypted" : fmt::format("packed with method {}", entry->method),
        entry->encrypted ? "a password" : "compression"));
  }
  if (deflated && entry->size / kMostGrowth > entry->packed_size) {
    fail(fmt::format("its entry '{}' cannot be as large as it says", name));
  }
  return *entry;
}

std::span<const std::byte> ZipArchive::packed(const Entry& entry) const {
  return file_->bytes().subspan(entry.data, entry.packed_size);
}

std::span<const std::byte> ZipArchive::bytes(const std::string& name) const {
  const Entry& entry = readable(name);
  if (!entry.stored()) fail(fmt::format("its entry '{}' is compressed", name));
  return packed(entry);
}

std::span<const std::byte> ZipArchive::checked_bytes(const std::string& name) const {
  const auto data = bytes(name);
  const auto checksum = find(name)->checksum;
  // PyTorch writes 0 when it was told not to compute checksums (set_crc32_options).
  if (checksum != 0 && checksum_of(data) != checksum) {
    fail(fmt::format("the checksum of its entry '{}' is wrong", name));
  }
  return data;
}

std::vector<std::byte> ZipArchive::unpacked(const std::string& name) const {
  const Entry& entry = readable(name);
  if (entry.stored()) {
    const auto data = checked_bytes(name);
    return {data.begin(), data.end()};
  }
  // Memory grows with what comes out: a false size costs no more than sixteen times that.
  constexpr std::uint64_t kFirst = std::uint64_t{1} << 20;
  constexpr std::uint64_t kGrowth = 16;
  Inflater inflater(packed(entry));
  std::vector<std::byte> content;
  while (content.size() < entry.size) {
    const std::uint64_t done = content.size();
    content.resize(std::min(entry.size, std::max(kFirst, kGrowth * done)));
    const auto part = std::span(content).subspan(done);
    if (inflater.read(part) != part.size()) {
      fail(fmt::format("its entry '{}' cannot be unpacked", name));
    }
  }
  check_end(name, entry, inflater);
  return content;
}

void ZipArchive::unpack(const std::string& name, std::span<std::byte> target) const {
  const Entry& entry = readable(name);
  Inflater inflater(packed(entry));
  if (target.size() != entry.size || inflater.read(target) != target.size()) {
    fail(fmt::format("its entry '{}' cannot be unpacked", name));
  }
  check_end(name, entry, inflater);
}

void ZipArchive::check_end(const std::string& name, const Entry& entry, Inflater& inflater) const {
  std::byte more{};
  if (inflater.read({&more, 1}) != 0 || !inflater.finished()) {
    fail(fmt::format("its entry '{}' cannot be unpacked: there is more than it says", name));
  }
  if (inflater.checksum() != entry.checksum) {
    fail(fmt::format("the checksum of its entry '{}' is wrong", name));
  }
}

void ZipArchive::verify(const std::string& name) const {
  const Entry& entry = readable(name);
  if (entry.stored()) {
    file_->drop_pages(checked_bytes(name));
    return;
  }
  constexpr std::uint64_t kPiece = std::uint64_t{1} << 20;
  std::vector<std::byte> piece(std::min(entry.size, kPiece));
  Inflater inflater(packed(entry));
  for (std::uint64_t done = 0; done < entry.size; done += kPiece) {
    const auto part = std::span(piece).first(std::min(kPiece, entry.size - done));
    if (inflater.read(part) != part.size()) {
      fail(fmt::format("its entry '{}' cannot be unpacked", name));
    }
  }
  check_end(name, entry, inflater);
}

}  // namespace l2c::io
