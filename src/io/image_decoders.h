// Image files in memory. The path is for messages.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "l2c/io/png.h"

namespace l2c::io {

bool looks_like_png(std::span<const std::byte> bytes) noexcept;
Bitmap decode_png(const std::filesystem::path& path, std::span<const std::byte> bytes);

bool looks_like_jpeg(std::span<const std::byte> bytes) noexcept;
Bitmap decode_jpeg(const std::filesystem::path& path, std::span<const std::byte> bytes);

}  // namespace l2c::io
