#include "l2c/io/torch_checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "allowance.h"
#include "l2c/core/error.h"
#include "l2c/core/words.h"
#include "pickle.h"
#include "safetensors_header.h"
#include "torch_format.h"
#include "zip.h"

namespace l2c::io {

namespace {

constexpr std::size_t kWidestElement = 16;
constexpr std::size_t longest_shown = 100;
// In bytes: what an entry of an archive takes while the file is read.
constexpr std::uint64_t kEntryCharge = 256;

// "NAME/" of the archive's "NAME/data.pkl"; torch.save names the folder after the file, and whoever
// packed it again may have put it deeper, or nowhere.
std::string find_prefix(const ZipArchive& archive) {
  constexpr std::string_view kProgram = "data.pkl";
  std::vector<std::string> found;
  for (const auto& [name, entry] : archive.entries()) {
    if (name == kProgram || name.ends_with(std::string("/").append(kProgram))) {
      found.push_back(name.substr(0, name.size() - kProgram.size()));
    }
  }
  const std::string path = archive.file()->path().string();
  if (found.empty()) {
    throw InputError(fmt::format(
        "'{}' is a zip file but not one of torch.save: it holds no data.pkl; check the path",
        path));
  }
  if (found.size() > 1) {
    throw InputError(fmt::format(
        "'{}' holds {} files of torch.save in one archive ('{}data.pkl', '{}data.pkl'): unpack it "
        "and pack each folder by itself (zip -0 -r)",
        path, found.size(), one_line(found[0], longest_shown), one_line(found[1], longest_shown)));
  }
  return found.front();
}

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// PyTorch before 0.1.10. A header of safetensors may hold the mark, too.
bool looks_like_tar(std::span<const std::byte> bytes) noexcept {
  constexpr std::size_t kPlace = 257;
  constexpr std::string_view kMark = "ustar";
  return !looks_like_safetensors(bytes) && bytes.size() >= kPlace + kMark.size() &&
         text_of(bytes.subspan(kPlace, kMark.size())) == kMark;
}

// One archive's entries, unpacked where they are compressed.
class Records {
 public:
  Records(const ZipArchive& archive, std::string prefix, Allowance& allowance)
      : archive_(archive), prefix_(std::move(prefix)), allowance_(allowance) {}

  void check_byte_order();
  // Stays alive as long as this object.
  std::span<const std::byte> read(const std::string& name);
  at::Tensor storage(const pickle::Storage& storage);

 private:
  const ZipArchive& archive_;
  std::string prefix_;
  Allowance& allowance_;
  std::vector<std::vector<std::byte>> unpacked_;
};

void Records::check_byte_order() {
  if (archive_.find(prefix_ + "byteorder") == nullptr) return;  // PyTorch before 2.1: little-endian
  const std::string_view order = text_of(read("byteorder"));
  if (order == "little") return;
  throw InputError(fmt::format(
      "'{}' has the byte order '{}', only 'little' can be read; load it and save it again with "
      "PyTorch on a little-endian machine (x86, ARM)",
      archive_.file()->path().string(), one_line(order, 16)));
}

std::span<const std::byte> Records::read(const std::string& name) {
  const auto& entry = archive_.readable(prefix_ + name);
  if (entry.stored()) return archive_.checked_bytes(prefix_ + name);
  allowance_.take(entry.size, Allowance::Use::unpacked);
  return unpacked_.emplace_back(archive_.unpacked(prefix_ + name));
}

at::Tensor Records::storage(const pickle::Storage& storage) {
  const std::string name = fmt::format("{}data/{}", prefix_, storage.key);
  const auto& entry = archive_.readable(name);
  const std::uint64_t size = storage.size();
  // A stored one may be longer; a compressed one is unpacked to just what was announced.
  if (entry.size < size || (!entry.stored() && entry.size != size)) {
    throw InputError(
        fmt::format("'{}': storage '{}' should hold {} elements of {} bytes, but has {} bytes; "
                    "download the file again",
                    archive_.file()->path().string(), one_line(storage.key, longest_shown),
                    storage.count, storage.item, entry.size));
  }
  if (entry.stored()) {
    const auto data = archive_.bytes(name).first(size);
    allowance_.take(size, Allowance::Use::objects);
    return aligned_bytes(archive_.file(), data);
  }
  allowance_.take(size, Allowance::Use::unpacked);
  at::Tensor bytes = at::empty({static_cast<std::int64_t>(size)}, at::kByte);
  archive_.unpack(name, {static_cast<std::byte*>(bytes.mutable_data_ptr()), size});
  return bytes;
}

}  // namespace

at::Tensor aligned_bytes(const std::shared_ptr<const MappedFile>& file,
                         std::span<const std::byte> part) {
  const auto size = static_cast<std::int64_t>(part.size());
  if (size == 0) return at::empty({0}, at::kByte);
  if (reinterpret_cast<std::uintptr_t>(part.data()) % kWidestElement == 0) {
    return at::from_blob(
        const_cast<std::byte*>(part.data()), {size}, [owner = file](void*) {}, at::kByte);
  }
  at::Tensor copy = at::empty({size}, at::kByte);
  std::memcpy(copy.mutable_data_ptr(), part.data(), part.size());
  file->drop_pages(part);
  return copy;
}

bool looks_like_torch(std::span<const std::byte> bytes) noexcept {
  return ZipArchive::recognises(bytes) || looks_like_legacy(bytes) || looks_like_tar(bytes);
}

bool looks_like_torch_file(const std::filesystem::path& path) {
  // A pipe would block, and what is not there is no file of torch.save.
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return false;
  return looks_like_torch(MappedFile::open(path)->bytes());
}

bool holds_torchscript(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return false;
  auto file = MappedFile::open(path);
  if (!ZipArchive::recognises(file->bytes())) return false;
  const ZipArchive archive(std::move(file));
  // NAME/constants.pkl and NAME/code/: torch.save writes neither.
  return std::ranges::any_of(archive.entries(), [](const auto& entry) {
    const std::string& name = entry.first;
    return name.substr(name.find('/') + 1) == "constants.pkl";
  });
}

void verify_torch_file(const std::filesystem::path& path) {
  auto file = MappedFile::open(path);
  if (looks_like_legacy(file->bytes())) {  // which has no checksums
    (void)read_legacy_file(file);
    return;
  }
  const ZipArchive archive(std::move(file));
  for (const auto& [name, entry] : archive.entries()) archive.verify(name);
}

PicklePtr read_torch_file(const std::filesystem::path& path) {
  return read_torch_file(MappedFile::open(path));
}

PicklePtr read_torch_file(const std::shared_ptr<const MappedFile>& file) {
  if (looks_like_legacy(file->bytes())) return read_legacy_file(file);
  const std::string path = file->path().string();
  if (looks_like_tar(file->bytes())) {
    throw InputError(fmt::format(
        "'{}' is in the tar format of PyTorch before 0.1.10; if you trust it, load it with "
        "torch.load(f, map_location='cpu', weights_only=False) and save its state_dict again",
        path));
  }
  if (!ZipArchive::recognises(file->bytes())) {
    throw InputError(
        fmt::format("'{}' is no file of torch.save: it does not begin like a zip file, nor like "
                    "one of PyTorch before 1.6; check the path",
                    path));
  }
  const ZipArchive archive(file);
  Allowance allowance(path, file->bytes().size());
  allowance.take(kEntryCharge * archive.entries().size(), Allowance::Use::objects);
  Records records(archive, find_prefix(archive), allowance);
  records.check_byte_order();
  pickle::Graph graph(path, allowance);
  std::size_t position = 0;
  const pickle::NodeId root = pickle::run(records.read("data.pkl"), position, graph);
  return pickle::to_value(
      graph, root, [&records](const pickle::Storage& storage) { return records.storage(storage); });
}

}  // namespace l2c::io
