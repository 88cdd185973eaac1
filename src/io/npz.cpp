#include "l2c/io/npz.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "l2c/core/error.h"
#include "l2c/core/words.h"
#include "npy_header.h"
#include "zip.h"

namespace l2c::io {

namespace {

constexpr std::string_view kEnding = ".npy";
constexpr std::size_t longest_shown = 100;
// Of a compressed array. Drawings and masks honestly unpack to a hundred times their file, so that
// its size alone, which bounds other files, says too little.
constexpr std::uint64_t most_unpacked = std::uint64_t{4} << 30;

void check_unpacked(const ZipArchive::Entry& entry, std::uint64_t file_size,
                    const std::string& where) {
  if (entry.size <= most_unpacked || entry.size / 4 <= file_size) return;
  throw InputError(
      fmt::format("{}: it unpacks to {} bytes, but {}, or four times the file's {}, are the most: "
                  "save it uncompressed (numpy.savez)",
                  where, entry.size, most_unpacked, file_size));
}

// Reads `bytes`, whose owner is kept; copied where the type's alignment asks for it.
at::Tensor make_tensor(std::span<const std::byte> bytes, const std::string& where,
                       std::shared_ptr<const void> owner) {
  const auto header = parse_npy_header(bytes, where);
  const auto data = bytes.subspan(header.size);
  const auto wanted = header.data_size(where);
  if (data.size() != wanted) {
    const auto shape = fmt::format("{}", fmt::join(header.shape, ", "));
    throw InputError(fmt::format("{}: its shape ({}) needs {} bytes, it has {}", where,
                                 one_line(shape, longest_shown), wanted, data.size()));
  }
  if (wanted == 0) return at::empty(header.shape, header.dtype);
  if (reinterpret_cast<std::uintptr_t>(data.data()) % c10::elementSize(header.dtype) != 0) {
    auto copy = at::empty(header.shape, header.dtype);
    std::memcpy(copy.mutable_data_ptr(), data.data(), data.size());
    return copy;
  }
  return at::from_blob(
      const_cast<std::byte*>(data.data()), header.shape, [kept = std::move(owner)](void*) {},
      header.dtype);
}

}  // namespace

NpzFile NpzFile::open(const std::filesystem::path& path) {
  auto file = MappedFile::open(path);
  if (!ZipArchive::recognises(file->bytes())) {
    throw InputError(fmt::format(
        "'{}' is no .npz file: it does not begin like a zip file; check the path", path.string()));
  }
  NpzFile npz;
  npz.archive_ = std::make_shared<const ZipArchive>(std::move(file));
  for (const auto& [name, entry] : npz.archive_->entries()) {
    if (name.ends_with(kEnding)) npz.names_.push_back(name.substr(0, name.size() - kEnding.size()));
  }
  std::sort(npz.names_.begin(), npz.names_.end());
  return npz;
}

const std::filesystem::path& NpzFile::path() const { return archive_->file()->path(); }

bool NpzFile::contains(std::string_view name) const {
  return std::find(names_.begin(), names_.end(), name) != names_.end();
}

at::Tensor NpzFile::tensor(const std::string& name) const {
  const auto where =
      fmt::format("'{}', array '{}'", path().string(), one_line(name, longest_shown));
  if (!contains(name)) {
    throw InputError(fmt::format("'{}' has no array '{}'; it has {}", path().string(), name,
                                 one_line(fmt::format("{}", fmt::join(names_, ", ")), 1000)));
  }
  const auto entry = fmt::format("{}{}", name, kEnding);
  const auto* found = archive_->find(entry);
  if (found->method == 0 && !found->encrypted) {
    return make_tensor(archive_->checked_bytes(entry), where, archive_->file());
  }
  check_unpacked(*found, archive_->file()->bytes().size(), where);
  auto content = std::make_shared<const std::vector<std::byte>>(archive_->unpacked(entry));
  return make_tensor(*content, where, content);
}

bool looks_like_npz(const std::filesystem::path& path) { return path.extension() == ".npz"; }

}  // namespace l2c::io
