#include "resample.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace l2c {

namespace {

// Fixed point: the sum of 8-bit values with weights, some of them negative, fits into 32 bits.
constexpr int kBits = 32 - 8 - 2;
constexpr std::int32_t kOne = std::int32_t{1} << kBits;
constexpr std::int32_t kHalf = kOne / 2;

// How far a filter reaches, in pixels of the smaller image.
double reach(Filter filter) { return filter == Filter::box ? 0.5 : 2.0; }

double box(double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }

// Keys's cubic convolution with a = -1/2.
double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

// The pixels that make one pixel of the result.
struct Window {
  int first = 0;
  std::vector<std::int32_t> weights;  // their sum is kOne, but for rounding
};

Window make_window(std::int64_t position, const Axis& axis, Filter filter) {
  const double scale = axis.from / static_cast<double>(axis.to);
  const double stretch = std::max(scale, 1.0);
  const double radius = reach(filter) * stretch;
  const double center = (static_cast<double>(position) + 0.5) * scale;
  Window window{.first = std::max(static_cast<int>(center - radius + 0.5), 0), .weights = {}};
  const int end = std::min(static_cast<int>(center + radius + 0.5), axis.from);
  std::vector<double> weights;
  double sum = 0;
  for (int i = window.first; i < end; ++i) {
    const double x = (i + 0.5 - center) / stretch;
    weights.push_back(filter == Filter::box ? box(x) : bicubic(x));
    sum += weights.back();
  }
  for (const double weight : weights) {
    window.weights.push_back(static_cast<std::int32_t>(std::round(weight / sum * kOne)));
  }
  return window;
}

std::vector<Window> make_windows(const Axis& axis, Filter filter) {
  std::vector<Window> windows;
  for (int i = 0; i < axis.count; ++i) {
    windows.push_back(make_window(axis.first + i, axis, filter));
  }
  return windows;
}

std::uint8_t rounded(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> kBits, 0, 255));
}

io::Bitmap empty_bitmap(int width, int height, int channels) {
  io::Bitmap bitmap{.width = width, .height = height, .channels = channels, .pixels = {}};
  bitmap.pixels.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) *
                       static_cast<std::size_t>(channels));
  return bitmap;
}

template <int channels>
void along_row(const std::uint8_t* source, const std::vector<Window>& windows,
               std::uint8_t* target) {
  for (const Window& window : windows) {
    std::int32_t sums[channels];
    std::fill_n(sums, channels, kHalf);
    const std::uint8_t* pixel = source + window.first * channels;
    for (const std::int32_t weight : window.weights) {
      for (int c = 0; c < channels; ++c) sums[c] += *pixel++ * weight;
    }
    for (const std::int32_t sum : sums) *target++ = rounded(sum);
  }
}

// The rows from `first` to before `end`.
io::Bitmap along_rows(const io::Bitmap& image, const std::vector<Window>& windows, int first,
                      int end) {
  io::Bitmap result = empty_bitmap(static_cast<int>(windows.size()), end - first, image.channels);
  const auto row_of = image.channels == 1 ? along_row<1> : along_row<3>;
  const std::size_t stride = image.pixels.size() / static_cast<std::size_t>(image.height);
  for (int row = first; row < end; ++row) {
    row_of(image.pixels.data() + static_cast<std::size_t>(row) * stride, windows,
           result.at(row - first, 0));
  }
  return result;
}

// Row 0 of the image is the row `first` that the windows mean.
io::Bitmap along_columns(const io::Bitmap& image, const std::vector<Window>& windows, int first) {
  io::Bitmap result = empty_bitmap(image.width, static_cast<int>(windows.size()), image.channels);
  const std::size_t stride = image.pixels.size() / static_cast<std::size_t>(image.height);
  std::vector<std::int32_t> sums(stride);
  for (int row = 0; row < result.height; ++row) {
    const Window& window = windows[static_cast<std::size_t>(row)];
    std::fill(sums.begin(), sums.end(), kHalf);
    const std::uint8_t* source =
        image.pixels.data() + static_cast<std::size_t>(window.first - first) * stride;
    for (const std::int32_t weight : window.weights) {
      for (std::size_t i = 0; i < stride; ++i) sums[i] += source[i] * weight;
      source += stride;
    }
    std::transform(sums.begin(), sums.end(), result.at(row, 0), rounded);
  }
  return result;
}

}  // namespace

io::Bitmap resample(const io::Bitmap& image, const Axis& x, const Axis& y, Filter filter) {
  const auto rows = make_windows(y, filter);
  // Only the rows that the second step reads: a very long image may ask for no more memory than
  // its result.
  const int first = rows.front().first;
  const int end = rows.back().first + static_cast<int>(rows.back().weights.size());
  return along_columns(along_rows(image, make_windows(x, filter), first, end), rows, first);
}

}  // namespace l2c
