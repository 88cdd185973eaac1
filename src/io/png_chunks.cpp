#include "png_chunks.h"

#include <fmt/format.h>
#include <zlib.h>

#include "image_decoders.h"
#include "l2c/core/error.h"

namespace l2c::io {

namespace {

constexpr std::size_t signature_bytes = 8;
constexpr std::size_t field_bytes = 4;                 // length, type, checksum
constexpr std::size_t around_bytes = 3 * field_bytes;  // what a chunk has beside its data

std::uint32_t big_endian(std::span<const std::byte> bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < field_bytes; ++i) {
    value = value << 8 | std::to_integer<std::uint32_t>(bytes[at + i]);
  }
  return value;
}

std::string_view letters(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

PngChunks::PngChunks(const std::filesystem::path& path, std::span<const std::byte> bytes)
    : path_(path.string()), bytes_(bytes), offset_(signature_bytes) {
  if (looks_like_png(bytes)) return;
  throw InputError(fmt::format("'{}' is no PNG file: give one", path_));
}

std::optional<PngChunk> PngChunks::next() {
  if (ended_) return std::nullopt;
  const std::size_t left = bytes_.size() - offset_;
  const std::size_t size = left < around_bytes ? 0 : big_endian(bytes_, offset_);
  if (left < around_bytes || size > left - around_bytes) {
    throw InputError(
        fmt::format("'{}' is cut short: its chunk at byte {} needs {} bytes, there are {}; copy "
                    "the file anew",
                    path_, offset_, around_bytes + size, left));
  }
  PngChunk chunk{.type = letters(bytes_.subspan(offset_ + field_bytes, field_bytes)),
                 .data = bytes_.subspan(offset_ + 2 * field_bytes, size),
                 .checksum = big_endian(bytes_, offset_ + 2 * field_bytes + size)};
  ended_ = chunk.type == "IEND";
  if (!ended_) offset_ += around_bytes + size;
  return chunk;
}

std::uint32_t checksum_of(std::string_view type, std::span<const std::byte> data) {
  auto value =
      crc32(0, reinterpret_cast<const Bytef*>(type.data()), static_cast<uInt>(type.size()));
  // Of no data, zlib would begin anew.
  if (!data.empty()) {
    value = crc32_z(value, reinterpret_cast<const Bytef*>(data.data()), data.size());
  }
  return static_cast<std::uint32_t>(value);
}

}  // namespace l2c::io
