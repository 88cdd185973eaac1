#include "l2c/io/torch_checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "l2c/core/error.h"
#include "pickle.h"
#include "torch_format.h"
#include "zip.h"

namespace l2c::io {

namespace {

constexpr std::size_t kWidestElement = 16;

// "NAME/" of the archive's "NAME/data.pkl"; torch.save names the folder after the file.
std::string find_prefix(const ZipArchive& archive) {
  constexpr std::string_view kProgram = "data.pkl";
  for (const auto& [name, entry] : archive.entries()) {
    const std::size_t slash = name.find('/');
    const std::size_t start = slash == name.npos ? 0 : slash + 1;
    if (name.substr(start) == kProgram) return name.substr(0, start);
  }
  throw InputError(fmt::format(
      "'{}' is a zip file but not one of torch.save: it holds no data.pkl; check the path",
      archive.file()->path().string()));
}

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void check_byte_order(const ZipArchive& archive, const std::string& prefix) {
  const std::string name = prefix + "byteorder";
  if (archive.find(name) == nullptr) return;  // PyTorch before 2.1: little-endian
  const std::string_view order = text_of(archive.checked_bytes(name));
  if (order == "little") return;
  throw InputError(fmt::format(
      "'{}' has the byte order '{}', only 'little' can be read; load it and save it again with "
      "PyTorch on a little-endian machine (x86, ARM)",
      archive.file()->path().string(), order.substr(0, 16)));
}

// The storages of one archive, each mapped or, where the writer did not align it, copied once.
class Storages {
 public:
  Storages(const ZipArchive& archive, std::string folder)
      : archive_(archive), folder_(std::move(folder)) {}

  at::Tensor get(const std::string& key) {
    const auto found = known_.find(key);
    if (found != known_.end()) return found->second;
    return known_.emplace(key, open(key)).first->second;
  }

 private:
  [[nodiscard]] at::Tensor open(const std::string& key) const {
    const auto data = archive_.bytes(folder_ + key);
    const auto size = static_cast<std::int64_t>(data.size());
    if (size == 0) return at::empty({0}, at::kByte);
    if (reinterpret_cast<std::uintptr_t>(data.data()) % kWidestElement != 0) {
      at::Tensor copy = at::empty({size}, at::kByte);
      std::memcpy(copy.mutable_data_ptr(), data.data(), data.size());
      return copy;
    }
    return at::from_blob(
        const_cast<std::byte*>(data.data()), {size}, [owner = archive_.file()](void*) {},
        at::kByte);
  }

  const ZipArchive& archive_;
  std::string folder_;
  std::map<std::string, at::Tensor> known_;
};

}  // namespace

bool looks_like_legacy(std::span<const std::byte> bytes) noexcept {
  // PROTO n, LONG1 of 10 bytes: torch's magic number.
  constexpr std::string_view kMagic = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
  return bytes.size() >= 2 + kMagic.size() && bytes[0] == std::byte{0x80} &&
         text_of(bytes.subspan(2, kMagic.size())) == kMagic;
}

bool looks_like_torch_zip(const std::filesystem::path& path) {
  // A pipe would block, and what is not there is no zip file.
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) &&
         ZipArchive::recognises(MappedFile::open(path)->bytes());
}

bool holds_torchscript(const std::filesystem::path& path) {
  if (!looks_like_torch_zip(path)) return false;
  const ZipArchive archive(MappedFile::open(path));
  // NAME/constants.pkl and NAME/code/: torch.save writes neither.
  return std::ranges::any_of(archive.entries(), [](const auto& entry) {
    const std::string& name = entry.first;
    return name.substr(name.find('/') + 1) == "constants.pkl";
  });
}

void verify_torch_file(const std::filesystem::path& path) {
  const ZipArchive archive(MappedFile::open(path));
  for (const auto& [name, entry] : archive.entries()) (void)archive.checked_bytes(name);
}

PicklePtr read_torch_file(const std::filesystem::path& path) {
  return read_torch_file(MappedFile::open(path));
}

PicklePtr read_torch_file(const std::shared_ptr<const MappedFile>& file) {
  const std::filesystem::path& path = file->path();
  if (looks_like_legacy(file->bytes())) {
    throw InputError(fmt::format(
        "'{}' is in the format of torch.save before PyTorch 1.6, which is not a zip file; save it "
        "again with a current PyTorch: torch.save(torch.load(f, map_location='cpu'), g)",
        path.string()));
  }
  if (!ZipArchive::recognises(file->bytes())) {
    throw InputError(fmt::format(
        "'{}' is no file of torch.save: it does not begin like a zip file; check the path",
        path.string()));
  }
  const ZipArchive archive(file);
  const std::string prefix = find_prefix(archive);
  check_byte_order(archive, prefix);
  Storages storages(archive, prefix + "data/");
  pickle::Graph graph(path.string());
  const pickle::NodeId root = pickle::run(
      archive.checked_bytes(prefix + "data.pkl"),
      [&storages](const std::string& key) { return storages.get(key); }, graph);
  return pickle::to_value(graph, root);
}

}  // namespace l2c::io
