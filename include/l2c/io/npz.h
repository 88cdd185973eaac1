// numpy's .npz: a zip archive of named arrays.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "l2c/core/torch.h"

namespace l2c::io {

class ZipArchive;

// Reads what numpy.savez and numpy.savez_compressed write: little-endian arrays in C order of u1,
// i4, i8, f4 or f8. The file is mapped: it must stay as it is while it is used. Thread-safe.
class NpzFile {
 public:
  // Throws InputError: no such file, no zip file, damaged.
  static NpzFile open(const std::filesystem::path& path);

  [[nodiscard]] const std::filesystem::path& path() const;
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }  // sorted
  [[nodiscard]] bool contains(std::string_view name) const;
  // A whole array; it may read the mapped file (and keeps it mapped). Throws InputError, which
  // names file and array: absent, another type or byte order, Fortran order, more than 64 axes,
  // damaged, compressed and unpacking to more than both 4 GiB and four times the file.
  [[nodiscard]] at::Tensor tensor(const std::string& name) const;

 private:
  NpzFile() = default;
  std::shared_ptr<const ZipArchive> archive_;
  std::vector<std::string> names_;
};

// Whether the file's name ends in ".npz".
bool looks_like_npz(const std::filesystem::path& path);

struct NpzWriterOptions {
  // Sizes and offsets from here on are written in the zip64 form, which the format needs from
  // 4 GiB - 1 on. A smaller number makes small files of that form; larger ones are refused.
  std::uint64_t zip64_from = 0xFFFFFFFF;
};

// Writes arrays one after the other, uncompressed, as numpy.savez does; of an array that is
// appended in parts no more than the part is held. Written aside and renamed. Not thread-safe.
class NpzWriter {
 public:
  // Throws InputError when no file can be written there.
  explicit NpzWriter(const std::filesystem::path& target, NpzWriterOptions options = {});
  // Without commit() the target is untouched.
  ~NpzWriter();
  NpzWriter(const NpzWriter&) = delete;
  NpzWriter& operator=(const NpzWriter&) = delete;

  // Starts an array of this final shape. Throws InputError: a type other than u1, i4, i8, f4 and
  // f8, a name twice or empty, negative sizes, an array before it that is not full.
  void begin(const std::string& name, at::ScalarType dtype, std::vector<std::int64_t> shape);
  // The next elements, in C order. Throws InputError: another type, more than the shape holds;
  // RunError: disk full, ...
  void append(const at::Tensor& part);
  // begin and append.
  void add(const std::string& name, const at::Tensor& tensor);
  // Throws InputError when the last array is not full; RunError.
  void commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace l2c::io
