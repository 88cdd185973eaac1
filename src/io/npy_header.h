// The header of numpy's .npy format. Private to io.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "l2c/core/torch.h"

namespace l2c::io {

struct NpyHeader {
  at::ScalarType dtype = at::kByte;
  std::vector<std::int64_t> shape;
  std::size_t size = 0;  // of the header itself: where the data begin

  // Bytes of the data. Throws InputError (`where`: file and array) when it, or a stride, is no
  // 63-bit number.
  [[nodiscard]] std::uint64_t data_size(const std::string& where) const;
};

// Versions 1 to 3. Throws InputError that begins with `where`.
NpyHeader parse_npy_header(std::span<const std::byte> bytes, const std::string& where);

// Version 1, padded to a multiple of 64 bytes as numpy does. Throws InputError for other types.
std::string npy_header_text(at::ScalarType dtype, const std::vector<std::int64_t>& shape,
                            const std::string& where);

}  // namespace l2c::io
