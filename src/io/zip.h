// The part of the zip format that torch.save and numpy use: stored and deflated entries, zip64.
// Private to io.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "l2c/io/file.h"

namespace l2c::io {

class Inflater;

// An archive's table of contents over a mapped file, checked against the header of every entry:
// names, methods, sizes and checksums must agree, and no two entries may share bytes, so that no
// two readers can see different archives. Everything that is handed out lies within the file.
// Throws InputError, which names the file, for whatever does not fit.
class ZipArchive {
 public:
  explicit ZipArchive(std::shared_ptr<const MappedFile> file);

  // Whether a file of these first bytes is meant as a zip archive.
  static bool recognises(std::span<const std::byte> bytes) noexcept;

  struct Entry {
    std::uint64_t header = 0;  // offset of the local header
    std::uint64_t data = 0;    // offset of the packed bytes
    std::uint64_t size = 0;
    std::uint64_t packed_size = 0;
    std::uint32_t checksum = 0;
    std::uint16_t method = 0;
    bool encrypted = false;

    [[nodiscard]] bool stored() const { return method == 0 && !encrypted; }
  };
  [[nodiscard]] const std::map<std::string, Entry>& entries() const noexcept { return entries_; }
  [[nodiscard]] const Entry* find(const std::string& name) const;
  // The entry. Throws when there is none, when it is encrypted, neither stored nor deflated, or
  // says a size that its packed bytes cannot grow to.
  [[nodiscard]] const Entry& readable(const std::string& name) const;

  // The bytes of a stored entry.
  [[nodiscard]] std::span<const std::byte> bytes(const std::string& name) const;
  // The same, with the checksum compared.
  [[nodiscard]] std::span<const std::byte> checked_bytes(const std::string& name) const;
  // The content of a stored or deflated entry, with the checksum compared.
  [[nodiscard]] std::vector<std::byte> unpacked(const std::string& name) const;
  // The content of a deflated entry of exactly the target's size, with the checksum compared.
  void unpack(const std::string& name, std::span<std::byte> target) const;
  // Compares the content with its checksum, in little memory.
  void verify(const std::string& name) const;

  [[nodiscard]] const std::shared_ptr<const MappedFile>& file() const noexcept { return file_; }

 private:
  struct Directory {
    std::uint64_t offset, size, count;
    std::uint64_t limit;  // where the records that end the archive begin
  };
  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void fail_beyond(std::uint64_t offset) const;
  template <typename T>
  [[nodiscard]] T read(std::uint64_t offset) const;
  [[nodiscard]] std::string_view text(std::uint64_t offset, std::uint64_t size) const;

  // zip_directory.cpp
  [[nodiscard]] std::uint64_t find_end() const;
  [[nodiscard]] Directory find_directory() const;
  [[nodiscard]] Directory read_zip64(std::uint64_t locator) const;
  void read_directory(const Directory& directory);
  std::uint64_t read_entry(std::uint64_t at, std::uint64_t end, std::uint64_t number);
  void check_header(const std::string& name, Entry& entry) const;
  void check_header_sizes(const std::string& name, const Entry& entry, std::uint64_t extra,
                          std::uint64_t extra_end) const;
  void check_overlaps(std::uint64_t limit) const;
  void check_gap(std::uint64_t begin, std::uint64_t end) const;
  void widen(std::span<std::uint64_t* const> values, std::uint64_t extra,
             std::uint64_t extra_end) const;

  [[nodiscard]] std::span<const std::byte> packed(const Entry& entry) const;
  void check_end(const std::string& name, const Entry& entry, Inflater& inflater) const;

  std::shared_ptr<const MappedFile> file_;
  std::map<std::string, Entry> entries_;
};

template <typename T>
T ZipArchive::read(std::uint64_t offset) const {
  const auto bytes = file_->bytes();
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) fail_beyond(offset);
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

}  // namespace l2c::io
