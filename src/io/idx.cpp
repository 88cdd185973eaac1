#include "l2c/io/idx.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gzip.h"
#include "l2c/core/error.h"
#include "l2c/io/file.h"

namespace l2c::io {

namespace {

static_assert(std::endian::native == std::endian::little, "the values are turned round");

constexpr std::size_t kMagicSize = 4;  // zero, zero, type, rank
constexpr std::size_t kSizeSize = 4;   // of one dimension

// The file's content in order, inflated where it is compressed.
class Content {
 public:
  explicit Content(std::shared_ptr<const MappedFile> file) : file_(std::move(file)) {
    if (GzipReader::recognises(file_->bytes())) gzip_.emplace(file_->path(), file_->bytes());
  }
  // Up to `size` bytes; fewer at the end.
  std::size_t read(std::byte* target, std::size_t size) {
    if (gzip_) return gzip_->read(target, size);
    const std::size_t count = std::min(size, file_->bytes().size() - position_);
    if (count > 0) std::memcpy(target, file_->bytes().data() + position_, count);
    position_ += count;
    return count;
  }
  [[nodiscard]] bool compressed() const { return gzip_.has_value(); }
  // No more bytes than this can still come.
  [[nodiscard]] std::size_t most_left() const {
    return gzip_ ? file_->bytes().size() * GzipReader::most_growth
                 : file_->bytes().size() - position_;
  }
  [[nodiscard]] const std::filesystem::path& path() const { return file_->path(); }
  [[noreturn]] void fail(const std::string& what) const {
    throw InputError(fmt::format("'{}' is no IDX file that can be read: {}; download it again",
                                 path().string(), what));
  }

 private:
  std::shared_ptr<const MappedFile> file_;
  std::optional<GzipReader> gzip_;
  std::size_t position_ = 0;
};

std::optional<at::ScalarType> dtype_of_code(unsigned code) {
  switch (code) {
    case 0x08:
      return at::kByte;
    case 0x09:
      return at::kChar;
    case 0x0B:
      return at::kShort;
    case 0x0C:
      return at::kInt;
    case 0x0D:
      return at::kFloat;
    case 0x0E:
      return at::kDouble;
    default:
      return std::nullopt;
  }
}

struct Header {
  at::ScalarType dtype;
  std::vector<std::int64_t> shape;
  std::size_t bytes;  // of the values
};

std::vector<std::int64_t> read_shape(Content& content, std::size_t rank) {
  std::vector<std::array<unsigned char, kSizeSize>> sizes(rank);
  const std::size_t there =
      content.read(reinterpret_cast<std::byte*>(sizes.data()), rank * kSizeSize);
  if (there != rank * kSizeSize) {
    content.fail(
        fmt::format("it ends within its header of {} bytes", kMagicSize + rank * kSizeSize));
  }
  std::vector<std::int64_t> shape;
  for (const auto& size : sizes) {
    shape.push_back(std::int64_t{size[0]} << 24 | size[1] << 16 | size[2] << 8 | size[3]);
  }
  return shape;
}

// Bytes of the values. Sizes of 0 count as 1 for the bound, so that no stride overflows either.
std::size_t byte_size(const Content& content, const std::vector<std::int64_t>& shape,
                      std::size_t item_size) {
  auto bounded = static_cast<std::int64_t>(item_size);
  bool empty = false;
  for (const std::int64_t extent : shape) {
    empty = empty || extent == 0;
    const std::int64_t factor = std::max<std::int64_t>(extent, 1);
    if (bounded > most_idx_bytes / factor) {
      content.fail(fmt::format("its header asks for {} values, more than the {} GiB that are read",
                               fmt::join(shape, " x "), most_idx_bytes >> 30));
    }
    bounded *= factor;
  }
  return empty ? 0 : static_cast<std::size_t>(bounded);
}

Header read_header(Content& content) {
  std::array<unsigned char, kMagicSize> magic{};
  const std::size_t there = content.read(reinterpret_cast<std::byte*>(magic.data()), magic.size());
  if (there < magic.size()) {
    content.fail(fmt::format("it has {} bytes, too few for a header", there));
  }
  const auto dtype = dtype_of_code(magic[2]);
  if (magic[0] != 0 || magic[1] != 0 || !dtype || magic[3] == 0) {
    content.fail(
        fmt::format("it begins with the bytes {:02x}, an IDX file with 00 00, an element "
                    "type (08, 09, 0b ... 0e) and a rank of 1 or more",
                    fmt::join(magic, " ")));
  }
  Header header{.dtype = *dtype, .shape = read_shape(content, magic[3]), .bytes = 0};
  header.bytes = byte_size(content, header.shape, at::elementSize(*dtype));
  return header;
}

// Before memory is taken.
void check_size(const Content& content, const Header& header) {
  const std::size_t left = content.most_left();
  if (header.bytes > left) {
    content.fail(fmt::format("its header asks for {} values of {} bytes, {} {} are there",
                             fmt::join(header.shape, " x "), at::elementSize(header.dtype),
                             content.compressed() ? "at most" : "but only", left));
  }
}

void turn_bytes(at::Tensor& values) {
  const std::size_t size = static_cast<std::size_t>(values.element_size());
  if (size == 1) return;
  auto* bytes = static_cast<std::byte*>(values.mutable_data_ptr());
  for (std::size_t at = 0; at < values.nbytes(); at += size) {
    std::reverse(bytes + at, bytes + at + size);
  }
}

}  // namespace

at::Tensor read_idx(const std::filesystem::path& path) {
  Content content(MappedFile::open(path));
  const Header header = read_header(content);
  check_size(content, header);
  at::Tensor values = at::empty(header.shape, at::TensorOptions().dtype(header.dtype));
  const std::size_t there =
      content.read(static_cast<std::byte*>(values.mutable_data_ptr()), header.bytes);
  if (there != header.bytes) {
    content.fail(fmt::format("it is truncated: {} values need {} bytes, {} are there",
                             fmt::join(header.shape, " x "), header.bytes, there));
  }
  // For gzip data this read also reaches the checksum.
  std::byte beyond{};
  if (content.read(&beyond, 1) != 0) {
    content.fail(fmt::format("more bytes follow the {} values that its header announces",
                             fmt::join(header.shape, " x ")));
  }
  turn_bytes(values);
  return values;
}

}  // namespace l2c::io
