// The IDX format of MNIST and its successors (http://yann.lecun.com/exdb/mnist): two zero bytes,
// the element type, the rank, one big-endian u32 size a dimension, then the big-endian values.
#pragma once

#include <cstdint>
#include <filesystem>

#include "l2c/core/torch.h"

namespace l2c::io {

// The most bytes that the values of an IDX file may take here.
inline constexpr std::int64_t most_idx_bytes = std::int64_t{4} << 30;

// The values of a plain or gzip-compressed IDX file (told apart by content, not by name): uint8,
// int8, int16, int32, float or double, in the file's shape, on the CPU, in memory of its own.
// Memory is taken only for what the file can hold. Throws InputError naming the file: not such a
// file, an unknown element type, rank 0, more than most_idx_bytes, fewer or more bytes than the
// header's sizes say, damaged or truncated gzip data. Thread-safe.
at::Tensor read_idx(const std::filesystem::path& path);

}  // namespace l2c::io
