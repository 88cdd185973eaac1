// Reading gzip data piece by piece.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace l2c::io {

// Inflates the gzip members of `data`, one after the other as gzip itself does. The checksum and
// the length of each member are compared when its end is reached.
class GzipReader {
 public:
  // More than deflate can make of one byte (its limit is 1032).
  static constexpr std::size_t most_growth = 1040;

  GzipReader(std::filesystem::path path, std::span<const std::byte> data);
  ~GzipReader();
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;

  // True when the bytes start as gzip data do.
  static bool recognises(std::span<const std::byte> data) noexcept;

  // The next bytes: `size` of them, or fewer at the end. Throws InputError naming the file for
  // damaged and truncated data and for bytes behind the last member.
  std::size_t read(std::byte* target, std::size_t size);

 private:
  void refill();
  void next_member();
  [[noreturn]] void fail(const std::string& what) const;

  std::filesystem::path path_;
  std::span<const std::byte> rest_;  // not yet given to zlib
  z_stream stream_{};
  bool ended_ = false;
};

}  // namespace l2c::io
