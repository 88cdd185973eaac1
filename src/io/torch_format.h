// Files of torch.save that are mapped already. Private to io.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "l2c/core/torch.h"
#include "l2c/io/file.h"
#include "l2c/io/torch_checkpoint.h"

namespace l2c::io {

// Whether a file of these first bytes is meant as one of torch.save, of whatever version.
bool looks_like_torch(std::span<const std::byte> bytes) noexcept;

// Whether it was written by torch.save before PyTorch 1.6 (no zip).
bool looks_like_legacy(std::span<const std::byte> bytes) noexcept;

// read_torch_file() of a file that is mapped already.
PicklePtr read_torch_file(const std::shared_ptr<const MappedFile>& file);

// The same of the format before PyTorch 1.6.
PicklePtr read_legacy_file(const std::shared_ptr<const MappedFile>& file);

// A part of a mapped file as a uint8 tensor, aligned for every type: over the mapping, which it
// keeps alive, or where the writer did not align it, over a copy (and the file's pages are
// dropped).
at::Tensor aligned_bytes(const std::shared_ptr<const MappedFile>& file,
                         std::span<const std::byte> part);

}  // namespace l2c::io
