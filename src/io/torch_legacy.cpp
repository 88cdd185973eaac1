// The format of torch.save before PyTorch 1.6: pickles one after the other (magic number, version,
// facts of the machine, the object, the keys of its storages), then the storages in the order of
// the keys, each a 64-bit count of elements and the elements, little-endian.
#include <fmt/format.h>

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "allowance.h"
#include "l2c/core/error.h"
#include "l2c/core/words.h"
#include "pickle.h"
#include "torch_format.h"

namespace l2c::io {

namespace {

constexpr std::uint8_t kFrame = 0x95;
// LONG1 of 10 bytes, torch's magic number, STOP.
constexpr std::string_view kMagic = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Where the magic number's pickle ends; 0 when there is none.
std::size_t end_of_magic(std::span<const std::byte> bytes) noexcept {
  constexpr std::size_t kFrameSize = 9;
  if (bytes.size() < 3 || bytes[0] != std::byte{0x80}) return 0;
  const std::size_t start = bytes[2] == std::byte{kFrame} ? 2 + kFrameSize : 2;
  const std::string_view text = text_of(bytes);
  if (start >= text.size() || !text.substr(start).starts_with(kMagic)) return 0;
  return start + kMagic.size();
}

class LegacyFile {
 public:
  explicit LegacyFile(const std::shared_ptr<const MappedFile>& file)
      : file_(file),
        position_(end_of_magic(file->bytes())),
        allowance_(file->path().string(), file->bytes().size()),
        graph_(file->path().string(), allowance_) {}

  PicklePtr read();

 private:
  [[noreturn]] void fail(const std::string& what) const;
  pickle::NodeId next_pickle() { return pickle::run(file_->bytes(), position_, graph_); }
  void check_version(pickle::NodeId id) const;
  void check_machine(pickle::NodeId id) const;
  void find_storages(pickle::NodeId keys);
  std::span<const std::byte> take(std::uint64_t size);
  at::Tensor bytes_of(const pickle::Storage& storage);

  const std::shared_ptr<const MappedFile>& file_;
  std::size_t position_;
  Allowance allowance_;
  pickle::Graph graph_;
  std::unordered_map<std::string_view, std::span<const std::byte>> parts_;  // by key
};

PicklePtr LegacyFile::read() {
  check_version(next_pickle());
  check_machine(next_pickle());
  const pickle::NodeId root = next_pickle();
  find_storages(next_pickle());
  return pickle::to_value(graph_, root,
                          [this](const pickle::Storage& storage) { return bytes_of(storage); });
}

void LegacyFile::fail(const std::string& what) const {
  constexpr std::size_t longest = 500;
  throw InputError(fmt::format(
      "'{}' is a damaged or truncated file of torch.save (the format before PyTorch 1.6): {}; "
      "download it again",
      file_->path().string(), one_line(what, longest)));
}

void LegacyFile::check_version(pickle::NodeId id) const {
  constexpr std::int64_t kVersion = 1001;
  const auto* version = graph_.get<std::int64_t>(id);
  if (version == nullptr || *version != kVersion) {
    fail(fmt::format("it has the version {}, only {} exists",
                     version != nullptr ? std::to_string(*version) : "(not a number)", kVersion));
  }
}

void LegacyFile::check_machine(pickle::NodeId id) const {
  const auto* facts = graph_.get<pickle::Dict>(id);
  if (facts == nullptr) fail("it does not say what machine it was written on");
  for (const auto& [key, value] : *facts) {
    const auto* name = graph_.get<std::string>(key);
    const auto* little = graph_.get<bool>(value);
    if (name != nullptr && *name == "little_endian" && little != nullptr && !*little) {
      throw InputError(fmt::format(
          "'{}' was written on a big-endian machine, only little-endian files are read; load it "
          "and save it again with PyTorch on a little-endian machine (x86, ARM)",
          file_->path().string()));
    }
  }
}

void LegacyFile::find_storages(pickle::NodeId keys) {
  const auto* list = graph_.get<pickle::List>(keys);
  if (list == nullptr) fail("the list of its storages' keys is missing");
  std::unordered_map<std::string_view, const pickle::Storage*> announced;
  for (const auto& storage : graph_.storages()) announced.emplace(storage.key, &storage);
  for (const pickle::NodeId each : *list) {
    const auto* key = graph_.get<std::string>(each);
    const auto found = key != nullptr ? announced.find(*key) : announced.end();
    if (found == announced.end()) {
      fail(fmt::format("nothing in it refers to the storage '{}'",
                       key != nullptr ? key->substr(0, 60) : "(not a string)"));
    }
    const pickle::Storage& storage = *found->second;
    std::uint64_t count = 0;
    std::memcpy(&count, take(sizeof count).data(), sizeof count);
    if (count != storage.count) {
      fail(fmt::format("storage '{}' should hold {} elements of {} bytes, but has {}", storage.key,
                       storage.count, storage.item, count));
    }
    if (!parts_.emplace(storage.key, take(storage.size())).second) {
      fail(fmt::format("storage '{}' occurs twice", storage.key));
    }
  }
  const std::size_t rest = file_->bytes().size() - position_;
  if (rest > 0) {
    fail(fmt::format("{} bytes follow its last storage (two files in one are not read)", rest));
  }
}

std::span<const std::byte> LegacyFile::take(std::uint64_t size) {
  const auto bytes = file_->bytes();
  if (size > bytes.size() - position_) {
    fail(fmt::format("it ends at byte {}, within its storages", bytes.size()));
  }
  const auto part = bytes.subspan(position_, size);
  position_ += size;
  return part;
}

at::Tensor LegacyFile::bytes_of(const pickle::Storage& storage) {
  const auto found = parts_.find(storage.key);
  if (found == parts_.end()) fail(fmt::format("storage '{}' is missing", storage.key));
  allowance_.take(found->second.size(), Allowance::Use::objects);
  return aligned_bytes(file_, found->second);
}

}  // namespace

bool looks_like_legacy(std::span<const std::byte> bytes) noexcept {
  return end_of_magic(bytes) != 0;
}

PicklePtr read_legacy_file(const std::shared_ptr<const MappedFile>& file) {
  return LegacyFile(file).read();
}

}  // namespace l2c::io
