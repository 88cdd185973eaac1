// Tensors of latents or pixels as plain data, and their files. No LibTorch header behind it.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace l2c {

// Values of a [N, C, H, W] tensor, last axis fastest.
struct Latents {
  std::array<std::int64_t, 4> shape{};
  std::vector<float> values;

  [[nodiscard]] std::int64_t images() const { return shape[0]; }
};

// Reads a floating-point tensor [N, C, H, W] of a safetensors file; `tensor` may be empty when the
// file holds only one. Throws InputError.
Latents load_latents(const std::filesystem::path& path, const std::string& tensor = "");

// Writes the tensor "latents" as fp32 safetensors, aside and renamed. Throws InputError, RunError.
void save_latents(const std::filesystem::path& path, const Latents& latents);

}  // namespace l2c
