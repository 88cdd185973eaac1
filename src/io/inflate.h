// Unpacking deflated data (RFC 1951). Private to io.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace l2c::io {

// One deflate stream without a header around it, taken out piece by piece.
class Inflater {
 public:
  // `packed` must outlive the object.
  explicit Inflater(std::span<const std::byte> packed);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Fills the target; how many bytes came, fewer only where the stream ends. Nothing for data that
  // are damaged or end too early.
  std::optional<std::size_t> read(std::span<std::byte> target);
  // Whether the stream has ended just where the packed bytes do.
  [[nodiscard]] bool finished() const;
  // CRC-32 of all that came out so far.
  [[nodiscard]] std::uint32_t checksum() const { return static_cast<std::uint32_t>(checksum_); }

 private:
  z_stream stream_{};
  std::span<const std::byte> packed_;
  std::size_t in_ = 0;
  bool ended_ = false;
  uLong checksum_ = 0;
};

std::uint32_t checksum_of(std::span<const std::byte> data);

}  // namespace l2c::io
