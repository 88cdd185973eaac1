// Pickle programs, and the files of torch.save around them, put together by hand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "l2c/io/safetensors.h"

namespace l2c::test {

// The bytes of a literal, zero bytes included.
template <std::size_t n>
std::string literal(const char (&bytes)[n]) {
  return std::string(bytes, n - 1);
}

// Programs that push one value.
std::string pickle_text(std::string_view value);
std::string pickle_integer(std::int64_t value);
std::string pickle_tuple(const std::vector<std::int64_t>& values);
std::string pickle_storage(std::string_view type, std::string_view key, std::int64_t count,
                           const std::string& view = "");

struct PickledTensor {
  std::string type = "FloatStorage";
  std::string key = "0";
  std::int64_t count = 0;  // elements in the storage
  std::int64_t offset = 0;
  std::vector<std::int64_t> sizes{}, strides{};
};
std::string pickle_tensor(const PickledTensor& tensor);

// {"w": value}, with PROTO and STOP around it.
std::string pickle_dict(const std::string& value);
// A program that would make a file at executed_witness(), were it run.
std::string pickle_attack(std::string_view module, std::string_view name);

struct RawStorage {
  std::string key = "0";
  std::uint64_t count = 0;  // as the file says it
  std::string bytes{};
};

// A zip file of torch.save: "file/data.pkl", "file/byteorder", "file/data/KEY".
std::string make_torch_zip(const std::string& program,
                           const std::vector<RawStorage>& storages = {});
// The format before PyTorch 1.6.
std::string make_legacy(const std::string& program, const std::vector<RawStorage>& storages = {});
// All before the object's program.
std::string legacy_head(std::int64_t version = 1001, bool little_endian = true);
// A state_dict of fp32 and int64 tensors, as torch.save writes it since PyTorch 1.6 and before.
std::string make_torch_zip(const io::TensorMap& tensors);
std::string make_legacy(const io::TensorMap& tensors);

}  // namespace l2c::test
