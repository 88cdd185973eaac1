#include "l2c/sampling/latents.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "l2c/core/error.h"
#include "l2c/io/safetensors.h"
#include "l2c/sampling/tensors.h"

namespace l2c {

namespace {

// Whether the sizes' product is `count`. The product itself may be more than 64 bits hold.
bool have_count(std::span<const std::int64_t> sizes, std::size_t count) {
  if (std::ranges::any_of(sizes, [](std::int64_t n) { return n < 0; })) return false;
  if (std::ranges::any_of(sizes, [](std::int64_t n) { return n == 0; })) return count == 0;
  for (const std::int64_t n : sizes) {
    if (count % static_cast<std::size_t>(n) != 0) return false;
    count /= static_cast<std::size_t>(n);
  }
  return count == 1;
}

}  // namespace

at::Tensor to_tensor(const Latents& latents) {
  const auto& s = latents.shape;
  if (!have_count(s, latents.values.size())) {
    throw InputError(fmt::format("latents of shape [{}] cannot have {} values", fmt::join(s, ", "),
                                 latents.values.size()));
  }
  auto tensor = at::empty(s, at::kFloat);
  std::copy(latents.values.begin(), latents.values.end(), tensor.data_ptr<float>());
  return tensor;
}

Latents to_latents(const at::Tensor& tensor) {
  if (tensor.dim() != 4 || !tensor.is_floating_point()) {
    throw InputError(fmt::format(
        "latents have to be a floating-point tensor [images, channels, height, width], not [{}] of "
        "type {}",
        fmt::join(tensor.sizes(), ", "), c10::toString(tensor.scalar_type())));
  }
  const auto source = tensor.to(at::kCPU, at::kFloat).contiguous();
  Latents latents;
  std::copy(source.sizes().begin(), source.sizes().end(), latents.shape.begin());
  latents.values.assign(source.data_ptr<float>(), source.data_ptr<float>() + source.numel());
  return latents;
}

at::Tensor to_tensor(const io::Bitmap& bitmap) {
  const std::array<std::int64_t, 3> shape{bitmap.height, bitmap.width, bitmap.channels};
  if (!have_count(shape, bitmap.pixels.size())) {
    throw InputError(fmt::format("a picture of [{}] cannot have {} values", fmt::join(shape, ", "),
                                 bitmap.pixels.size()));
  }
  auto tensor = at::empty(shape, at::kByte);
  std::copy(bitmap.pixels.begin(), bitmap.pixels.end(), tensor.data_ptr<std::uint8_t>());
  return tensor;
}

Latents load_latents(const std::filesystem::path& path, const std::string& tensor) {
  const auto file = io::SafetensorsFile::open(path);
  std::string name = tensor;
  if (name.empty()) {
    const auto names = file.names();
    if (names.size() != 1) {
      throw InputError(fmt::format("{} holds {} tensors ({}): say which, as {}:NAME", path.string(),
                                   names.size(), fmt::join(names, ", "), path.string()));
    }
    name = names.front();
  }
  const auto value = file.tensor(name);
  if (value.dim() != 4 || !value.is_floating_point()) {
    throw InputError(fmt::format(
        "{}: tensor \"{}\" has shape [{}] and type {}; expected floating-point "
        "[images, channels, height, width]",
        path.string(), name, fmt::join(value.sizes(), ", "), c10::toString(value.scalar_type())));
  }
  return to_latents(value);
}

void save_latents(const std::filesystem::path& path, const Latents& latents) {
  io::write_safetensors(path, {{"latents", to_tensor(latents)}});
}

}  // namespace l2c
