#include "byte_size.h"

#include <algorithm>
#include <limits>

namespace l2c::io {

namespace {

template <typename Extent>
std::optional<std::uint64_t> size_of(std::span<const Extent> shape, std::size_t item_size) {
  constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  std::uint64_t product = item_size;  // with every 0 counted as 1: bounds the strides
  bool empty = false;
  for (const Extent extent : shape) {
    empty = empty || extent == 0;
    // A negative one becomes larger than `most`.
    const auto factor = std::max<std::uint64_t>(static_cast<std::uint64_t>(extent), 1);
    if (product > most / factor) return std::nullopt;
    product *= factor;
  }
  return empty ? 0 : product;
}

}  // namespace

std::optional<std::uint64_t> byte_size(std::span<const std::uint64_t> shape,
                                       std::size_t item_size) {
  return size_of(shape, item_size);
}

std::optional<std::uint64_t> byte_size(std::span<const std::int64_t> shape, std::size_t item_size) {
  return size_of(shape, item_size);
}

}  // namespace l2c::io
