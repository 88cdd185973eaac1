// The part of the zip format that torch.save and numpy use: stored and deflated entries, zip64.
// Private to io.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "l2c/io/file.h"

namespace l2c::io {

// An archive's table of contents over a mapped file. Everything that is handed out lies within the
// file. Throws InputError, which names the file, for whatever does not fit.
class ZipArchive {
 public:
  explicit ZipArchive(std::shared_ptr<const MappedFile> file);

  // Whether a file of these first bytes is meant as a zip archive.
  static bool recognises(std::span<const std::byte> bytes) noexcept;

  struct Entry {
    std::uint64_t header = 0;  // offset of the local header
    std::uint64_t size = 0;
    std::uint64_t packed_size = 0;
    std::uint32_t checksum = 0;
    std::uint16_t method = 0;
    bool encrypted = false;
  };
  [[nodiscard]] const std::map<std::string, Entry>& entries() const noexcept { return entries_; }
  [[nodiscard]] const Entry* find(const std::string& name) const;
  // The stored bytes. Throws when the entry is compressed, encrypted or reaches past the end.
  [[nodiscard]] std::span<const std::byte> bytes(const std::string& name) const;
  // The same, with the checksum compared.
  [[nodiscard]] std::span<const std::byte> checked_bytes(const std::string& name) const;
  // The content of a stored or deflated entry, with the checksum compared. Throws for other
  // methods, encrypted entries, and sizes that the packed bytes cannot grow to.
  [[nodiscard]] std::vector<std::byte> unpacked(const std::string& name) const;

  [[nodiscard]] const std::shared_ptr<const MappedFile>& file() const noexcept { return file_; }

 private:
  struct Directory {
    std::uint64_t offset, size, count;
  };
  [[noreturn]] void fail(const std::string& what) const;
  template <typename T>
  [[nodiscard]] T read(std::uint64_t offset) const;
  [[nodiscard]] Directory find_directory() const;
  [[nodiscard]] Directory read_zip64(std::uint64_t locator) const;
  void read_directory(const Directory& directory);
  [[nodiscard]] const Entry& entry(const std::string& name) const;
  [[nodiscard]] std::span<const std::byte> data_of(const Entry& entry, const std::string& name,
                                                   std::uint64_t size) const;
  void widen(Entry& entry, std::uint64_t extra, std::uint64_t extra_end) const;

  std::shared_ptr<const MappedFile> file_;
  std::map<std::string, Entry> entries_;
};

}  // namespace l2c::io
