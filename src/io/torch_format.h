// Telling the formats of torch.save apart. Private to io.
#pragma once

#include <cstddef>
#include <span>

namespace l2c::io {

// Whether a file of these first bytes was written by torch.save before PyTorch 1.6 (no zip).
bool looks_like_legacy(std::span<const std::byte> bytes) noexcept;

}  // namespace l2c::io
