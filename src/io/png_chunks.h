// The parts that a PNG file consists of (PNG specification, section 5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace l2c::io {

struct PngChunk {
  std::string_view type;  // four letters
  std::span<const std::byte> data;
  std::uint32_t checksum = 0;  // as the file has it
};

// Goes through the chunks of a file, the signature left out. `path`: for messages.
class PngChunks {
 public:
  // Throws InputError unless the bytes begin as a PNG file does.
  PngChunks(const std::filesystem::path& path, std::span<const std::byte> bytes);

  // nullopt after the end chunk. Throws InputError for a chunk that reaches beyond the file, and
  // for a file that ends without an end chunk.
  std::optional<PngChunk> next();
  [[nodiscard]] std::size_t offset() const { return offset_; }  // of the next chunk

 private:
  std::string path_;
  std::span<const std::byte> bytes_;
  std::size_t offset_;
  bool ended_ = false;
};

// CRC-32 of type and data, as a sound chunk has it.
std::uint32_t checksum_of(std::string_view type, std::span<const std::byte> data);

// read_png_text() of a file in memory.
std::optional<std::string> png_text(const std::filesystem::path& path,
                                    std::span<const std::byte> bytes, std::string_view keyword);

}  // namespace l2c::io
