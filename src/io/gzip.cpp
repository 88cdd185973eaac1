#include "gzip.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "l2c/core/error.h"

namespace l2c::io {

namespace {

constexpr int kGzipOnly = 15 + 16;                    // inflateInit2: largest window, gzip header
constexpr std::size_t kPiece = std::size_t{1} << 30;  // zlib counts with 32 bits

}  // namespace

GzipReader::GzipReader(std::filesystem::path path, std::span<const std::byte> data)
    : path_(std::move(path)), rest_(data) {
  if (inflateInit2(&stream_, kGzipOnly) != Z_OK) {
    throw RunError(fmt::format("cannot read '{}': no memory for zlib", path_.string()));
  }
}

GzipReader::~GzipReader() { inflateEnd(&stream_); }

bool GzipReader::recognises(std::span<const std::byte> data) noexcept {
  return data.size() >= 2 && data[0] == std::byte{0x1f} && data[1] == std::byte{0x8b};
}

void GzipReader::fail(const std::string& what) const {
  throw InputError(fmt::format("'{}' is a damaged or truncated gzip file: {}; download it again",
                               path_.string(), what));
}

void GzipReader::refill() {
  if (stream_.avail_in > 0) return;
  const std::size_t size = std::min(rest_.size(), kPiece);
  // zlib does not write to its input; its interface is older than const.
  stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(rest_.data()));
  stream_.avail_in = static_cast<uInt>(size);
  rest_ = rest_.subspan(size);
}

void GzipReader::next_member() {
  refill();
  ended_ = stream_.avail_in == 0;
  if (!ended_ && inflateReset(&stream_) != Z_OK) fail("zlib cannot start over");
}

std::size_t GzipReader::read(std::byte* target, std::size_t size) {
  std::size_t done = 0;
  while (done < size && !ended_) {
    refill();
    const std::size_t wanted = std::min(size - done, kPiece);
    stream_.next_out = reinterpret_cast<Bytef*>(target + done);
    stream_.avail_out = static_cast<uInt>(wanted);
    const int status = inflate(&stream_, Z_NO_FLUSH);
    done += wanted - stream_.avail_out;
    if (status == Z_STREAM_END) {
      next_member();
    } else if (status == Z_BUF_ERROR) {
      fail("it ends too early");
    } else if (status == Z_MEM_ERROR) {
      throw RunError(fmt::format("cannot read '{}': no memory for zlib", path_.string()));
    } else if (status != Z_OK) {
      fail(stream_.msg != nullptr ? stream_.msg : "zlib cannot read it");
    }
  }
  return done;
}

}  // namespace l2c::io
