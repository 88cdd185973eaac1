#include "images.h"

#include <algorithm>

namespace l2c {

namespace {

at::Tensor preview(const at::Tensor& sample) {
  const std::int64_t channels = sample.size(0) < 3 ? 1 : 3;
  const auto shown = sample.slice(0, 0, channels);
  const auto low = shown.min();
  const auto range = (shown.max() - low).clamp_min(1e-12);
  return (shown - low) / range * 255;
}

}  // namespace

bool are_pixels(std::int64_t channels) { return channels == 1 || channels == 3; }

io::Bitmap to_bitmap(const at::Tensor& sample) {
  const auto values = are_pixels(sample.size(0)) ? sample * 127.5 + 128 : preview(sample);
  const auto bytes = values.clamp(0, 255).to(at::kByte).permute({1, 2, 0}).contiguous();
  io::Bitmap bitmap;
  bitmap.height = static_cast<int>(bytes.size(0));
  bitmap.width = static_cast<int>(bytes.size(1));
  bitmap.channels = static_cast<int>(bytes.size(2));
  const auto* data = bytes.data_ptr<std::uint8_t>();
  bitmap.pixels.assign(data, data + bytes.numel());
  return bitmap;
}

}  // namespace l2c
