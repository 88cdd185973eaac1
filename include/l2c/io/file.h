// Reading whole files and writing them safely.
#pragma once

#include <cstddef>
#include <filesystem>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace l2c::io {

// A file mapped read-only. Unmapped when the last owner lets go.
class MappedFile {
 public:
  // Throws InputError when the path does not exist, is a directory, or cannot be read.
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

  // Takes the whole pages within `part` out of the process's memory, as advice to the system:
  // reading them again fetches them from the file. Bytes outside the mapping are left alone.
  void drop_pages(std::span<const std::byte> part) const noexcept;

 private:
  MappedFile(std::filesystem::path path, std::span<const std::byte> bytes);
  std::filesystem::path path_;
  std::span<const std::byte> bytes_;
};

// Writes a file aside (under a name of its own that ends in ".partial", in the same folder) and
// renames it over the target in commit(), so that a reader never sees half a file and a failure
// keeps the old one. A target that exists and is no regular file (/dev/stdout, a pipe) is written
// straight through. Not thread-safe.
class AtomicFile {
 public:
  // Throws InputError when the target is a directory or its folder is missing or not writable.
  explicit AtomicFile(const std::filesystem::path& target);
  // Without commit() the partial file is removed and the target is untouched.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::size_t size);  // throws RunError (disk full, ...)
  void write(std::string_view text) { write(text.data(), text.size()); }
  void commit();  // flush, fsync, rename; throws RunError

 private:
  std::filesystem::path target_;
  std::filesystem::path partial_;  // empty: written straight through
  int descriptor_ = -1;
};

// Throws InputError unless a file can be written at `target` (its folder exists and is writable,
// it is not a directory). Creates nothing. For checks before long work.
void check_writable(const std::filesystem::path& target);

// The whole of a text file, or of what comes through a pipe: for paths that the user named. Throws
// InputError: it does not exist, is a directory, cannot be read, has more than `most_bytes`.
std::string read_text(const std::filesystem::path& path,
                      std::size_t most_bytes = std::numeric_limits<std::size_t>::max());

// The same for paths that were found in a folder, where a pipe would be waited for without end:
// what is no regular file, once links are followed, is refused.
std::string read_text_file(const std::filesystem::path& path,
                           std::size_t most_bytes = std::numeric_limits<std::size_t>::max());

}  // namespace l2c::io
