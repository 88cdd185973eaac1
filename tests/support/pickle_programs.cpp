#include "support/pickle_programs.h"

#include "support/byte_files.h"
#include "support/hostile_files.h"

namespace l2c::test {

std::string pickle_text(std::string_view value) {
  return std::string("X") + packed(static_cast<std::uint32_t>(value.size())) + std::string(value);
}

std::string pickle_integer(std::int64_t value) { return literal("\x8a\x08") + packed(value); }

std::string pickle_tuple(const std::vector<std::int64_t>& values) {
  std::string program = "(";
  for (const std::int64_t value : values) program += pickle_integer(value);
  return program + "t";
}

std::string pickle_storage(std::string_view type, std::string_view key, std::int64_t count,
                           const std::string& view) {
  return std::string("(") + pickle_text("storage") + "ctorch\n" + std::string(type) + "\n" +
         pickle_text(key) + pickle_text("cpu") + pickle_integer(count) + view + "tQ";
}

std::string pickle_tensor(const PickledTensor& tensor) {
  return std::string("ctorch._utils\n_rebuild_tensor_v2\n(") +
         pickle_storage(tensor.type, tensor.key, tensor.count) + pickle_integer(tensor.offset) +
         pickle_tuple(tensor.sizes) + pickle_tuple(tensor.strides) +
         "\x89"
         "}tR";
}

std::string pickle_dict(const std::string& value) {
  return std::string("\x80\x02}") + pickle_text("w") + value + "s.";
}

std::string pickle_attack(std::string_view module, std::string_view name) {
  return std::string("\x80\x02}") + pickle_text("w") + "c" + std::string(module) + "\n" +
         std::string(name) + "\n" +
         pickle_text(std::string("touch ").append(executed_witness().string())) + "\x85Rs.";
}

std::string make_torch_zip(const std::string& program, const std::vector<RawStorage>& storages) {
  ZipEntries entries{{"file/data.pkl", program}, {"file/byteorder", "little"}};
  for (const auto& storage : storages)
    entries.emplace_back(std::string("file/data/").append(storage.key), storage.bytes);
  return make_zip(entries);
}

std::string legacy_head(std::int64_t version, bool little_endian) {
  const std::string magic = literal("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.");
  return std::string("\x80\x02") + magic + "\x80\x02" + pickle_integer(version) + ".\x80\x02}(" +
         pickle_text("protocol_version") + pickle_integer(version) + pickle_text("little_endian") +
         (little_endian ? "\x88" : "\x89") + "u.";
}

std::string make_legacy(const std::string& program, const std::vector<RawStorage>& storages) {
  std::string file = legacy_head() + program + "\x80\x02](";
  for (const auto& storage : storages) file += pickle_text(storage.key);
  file += "e.";
  for (const auto& storage : storages) file += packed(storage.count) + storage.bytes;
  return file;
}

namespace {

struct Pickled {
  std::string program;
  std::vector<RawStorage> storages;
};

Pickled state_dict(const io::TensorMap& tensors) {
  Pickled result{.program = "\x80\x02}(", .storages = {}};
  for (const auto& [name, given] : tensors) {
    const at::Tensor tensor = given.contiguous();
    const auto key = std::to_string(result.storages.size());
    result.program +=
        pickle_text(name) +
        pickle_tensor({.type = tensor.scalar_type() == at::kLong ? "LongStorage" : "FloatStorage",
                       .key = key,
                       .count = tensor.numel(),
                       .offset = 0,
                       .sizes = tensor.sizes().vec(),
                       .strides = tensor.strides().vec()});
    result.storages.push_back(
        {.key = key,
         .count = static_cast<std::uint64_t>(tensor.numel()),
         .bytes = {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()}});
  }
  result.program += "u.";
  return result;
}

}  // namespace

std::string make_torch_zip(const io::TensorMap& tensors) {
  const Pickled pickled = state_dict(tensors);
  return make_torch_zip(pickled.program, pickled.storages);
}

std::string make_legacy(const io::TensorMap& tensors) {
  const Pickled pickled = state_dict(tensors);
  return make_legacy(pickled.program, pickled.storages);
}

}  // namespace l2c::test
