#include "inflate.h"

#include <algorithm>

#include "l2c/core/error.h"

namespace l2c::io {

namespace {

constexpr std::size_t kPiece = std::size_t{1} << 30;  // zlib counts with 32 bits

}  // namespace

Inflater::Inflater(std::span<const std::byte> packed) : packed_(packed) {
  constexpr int kRaw = -15;  // largest window, no header
  if (inflateInit2(&stream_, kRaw) != Z_OK) throw RunError("no memory for zlib");
}

Inflater::~Inflater() { inflateEnd(&stream_); }

std::optional<std::size_t> Inflater::read(std::span<std::byte> target) {
  std::size_t out = 0;
  while (!ended_ && out < target.size()) {
    const auto in_size = std::min(packed_.size() - in_, kPiece);
    const auto out_size = std::min(target.size() - out, kPiece);
    // zlib does not write to its input; its interface is older than const.
    stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(packed_.data() + in_));
    stream_.avail_in = static_cast<uInt>(in_size);
    stream_.next_out = reinterpret_cast<Bytef*>(target.data() + out);
    stream_.avail_out = static_cast<uInt>(out_size);
    const int status = inflate(&stream_, Z_NO_FLUSH);
    if (status == Z_MEM_ERROR) throw RunError("no memory for zlib");
    if (status != Z_OK && status != Z_STREAM_END) return std::nullopt;
    in_ += in_size - stream_.avail_in;
    out += out_size - stream_.avail_out;
    ended_ = status == Z_STREAM_END;
  }
  if (out > 0) {  // of nothing, zlib gives the checksum to start from
    checksum_ = crc32_z(checksum_, reinterpret_cast<const Bytef*>(target.data()), out);
  }
  return out;
}

bool Inflater::finished() const { return ended_ && in_ == packed_.size(); }

std::uint32_t checksum_of(std::span<const std::byte> data) {
  return static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(data.data()), data.size()));
}

}  // namespace l2c::io
