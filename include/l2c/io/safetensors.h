// The safetensors format (https://github.com/huggingface/safetensors#format): little-endian u64
// header size, JSON header, then one contiguous block of tensors.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "l2c/core/torch.h"
#include "l2c/io/file.h"

namespace l2c::io {

using Metadata = std::map<std::string, std::string>;
using TensorMap = std::map<std::string, at::Tensor>;  // sorted by name, in byte order

// "" when there is no such entry.
std::string metadata_value(const Metadata& metadata, const std::string& name);

// An open file: header parsed and checked, data mapped. Immutable; safe to share between threads.
class SafetensorsFile {
 public:
  // Checks everything the format asks for: header size within the file and at most 100 MB, valid
  // JSON object without duplicate keys, known dtypes, offsets in order, without gap or overlap,
  // sizes that match dtype and shape, no bytes left over, metadata of strings only. Throws
  // InputError naming file and tensor.
  static SafetensorsFile open(const std::filesystem::path& path);
  // The same of a file that is mapped already.
  static SafetensorsFile open(std::shared_ptr<const MappedFile> file);

  [[nodiscard]] const std::filesystem::path& path() const noexcept;
  [[nodiscard]] const Metadata& metadata() const noexcept { return metadata_; }
  [[nodiscard]] std::vector<std::string> names() const;  // sorted
  [[nodiscard]] bool contains(const std::string& name) const;
  // A tensor that reads the mapping without a copy and keeps it alive: never write to it; clone()
  // it to let go of the file. Throws InputError when there is no such tensor.
  [[nodiscard]] at::Tensor tensor(const std::string& name) const;
  [[nodiscard]] TensorMap tensors() const;

 private:
  struct Entry {
    at::ScalarType dtype;
    std::vector<std::int64_t> shape;
    std::size_t begin, end;  // within the file
  };
  SafetensorsFile() = default;
  void read_header();
  std::shared_ptr<const MappedFile> file_;
  Metadata metadata_;
  std::map<std::string, Entry> entries_;
};

// Writes the file aside and renames it. Tensors of any device, layout and dtype that safetensors
// knows; keys and metadata sorted, so equal content gives equal bytes. Throws InputError for a
// dtype without a name in the format, RunError when writing fails.
void write_safetensors(const std::filesystem::path& path, const TensorMap& tensors,
                       const Metadata& metadata = {});

// Of everything that such a file holds (32 hex digits), but for the metadata's "checksum": the key
// that a writer keeps this under, so that a reader notices damage. Tensors of any device and layout
// of strides. Equal content in whatever order gives equal text.
std::string content_checksum(const TensorMap& tensors, const Metadata& metadata);

}  // namespace l2c::io
