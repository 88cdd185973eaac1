// Files of torch.save that are mapped already. Private to io.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "l2c/io/file.h"
#include "l2c/io/torch_checkpoint.h"

namespace l2c::io {

// Whether a file of these first bytes was written by torch.save before PyTorch 1.6 (no zip).
bool looks_like_legacy(std::span<const std::byte> bytes) noexcept;

// read_torch_file() of a file that is mapped already.
PicklePtr read_torch_file(const std::shared_ptr<const MappedFile>& file);

}  // namespace l2c::io
