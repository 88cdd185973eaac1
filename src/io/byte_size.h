// Sizes that files claim. Private to io.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace l2c::io {

// Bytes of a tensor of this shape; nothing when that number or any of its strides (in bytes) does
// not fit into 63 bits. Negative extents count as too large.
std::optional<std::uint64_t> byte_size(std::span<const std::uint64_t> shape, std::size_t item_size);
std::optional<std::uint64_t> byte_size(std::span<const std::int64_t> shape, std::size_t item_size);

}  // namespace l2c::io
