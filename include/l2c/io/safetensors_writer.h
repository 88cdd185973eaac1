// Writing a safetensors file tensor by tensor, for what does not fit into memory at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "l2c/core/torch.h"
#include "l2c/io/file.h"
#include "l2c/io/safetensors.h"

namespace l2c::io {

// What the header says of a tensor.
struct TensorSpec {
  at::ScalarType dtype = at::kFloat;
  std::vector<std::int64_t> shape{};

  // Of its data.
  [[nodiscard]] std::int64_t bytes() const;
};
using TensorSpecs = std::map<std::string, TensorSpec>;  // sorted by name, in byte order

// The header first, then one tensor after the other, into a file aside that commit() renames.
// Beside what is handed in, memory holds a piece of one tensor. Equal content gives equal bytes.
// Not thread-safe.
class SafetensorsWriter {
 public:
  // Throws InputError, before a file is made: a dtype without a name in the format, a name that is
  // reserved, texts that are not UTF-8, a header of more than 100 MB, what SafetensorsFile would
  // not read (more than 50,000 tensors, 64 axes, names of 2,000 bytes, 100,000 entries of metadata
  // of 4 MiB each as JSON); and as AtomicFile does.
  SafetensorsWriter(std::filesystem::path path, TensorSpecs tensors, const Metadata& metadata = {});

  // The order in which the tensors have to come: wide elements first, then by name.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  // The next tensor, of any device, layout and strides. Numbers of another type are converted to
  // that of the header, rounded to the nearest (ties to even). Throws InputError for another shape,
  // and for a finite number that the type can't hold; Error when another name is due; RunError when
  // writing fails.
  void write(const std::string& name, const at::Tensor& tensor);
  // Throws Error while tensors are missing, RunError when writing fails.
  void commit();

 private:
  void write_converted(const std::string& name, const at::Tensor& flat, at::ScalarType dtype);

  std::filesystem::path path_;
  TensorSpecs tensors_;
  std::vector<std::string> names_;
  std::size_t next_ = 0;
  std::optional<AtomicFile> file_;
  at::Tensor piece_;  // converted numbers on their way to the file
};

}  // namespace l2c::io
