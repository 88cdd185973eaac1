#include "l2c/evaluation/product_ceiling.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "l2c/core/device.h"
#include "l2c/core/error.h"
#include "l2c/core/torch.h"
#include "l2c/core/torch_errors.h"
#include "l2c/ops/linear.h"

namespace l2c {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int least_tries = 3;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double operations(const MeasuredProduct& product) {
  return 2.0 * static_cast<double>(product.rows) * static_cast<double>(product.in) *
         static_cast<double>(product.out);
}

class Bench {
 public:
  Bench(const CeilingOptions& options, std::stop_token stop)
      : device_(parse_device(options.device)),
        dtype_(parse_dtype(options.dtype)),
        seconds_each_(options.seconds_each),
        stop_(std::move(stop)) {}

  MeasuredProduct measured(MeasuredProduct product) const {
    const c10::InferenceMode inference;
    const auto layer = ops::prepared({random(product.out, product.in), {}}, dtype_);
    const at::Tensor x = random(product.rows, product.in).to(dtype_);
    at::Tensor out = at::empty({product.rows, product.out}, x.options());
    product.gflops = 1e-9 * operations(product) / least_seconds(layer, x, out);
    return product;
  }

  // Large enough for the best speed, small enough for a moment.
  [[nodiscard]] std::vector<std::int64_t> square_sizes() const {
    return device_.is_cpu() ? std::vector<std::int64_t>{256, 512, 1024}
                            : std::vector<std::int64_t>{2048, 4096, 8192};
  }

 private:
  // Real numbers: what a processor draws, and so its speed, depends on the bits.
  [[nodiscard]] at::Tensor random(std::int64_t rows, std::int64_t columns) const {
    return at::empty({rows, columns}).normal_(0, 1, at::detail::createCPUGenerator(1)).to(device_);
  }

  double timed(const ops::Linear& layer, const at::Tensor& x, at::Tensor& out, int repeats) const {
    if (stop_.stop_requested()) throw Cancelled("cancelled while products were measured");
    const auto start = Clock::now();
    for (int i = 0; i < repeats; ++i) (void)ops::linear(layer, x, out);
    if (!device_.is_cpu()) (void)out.view(-1)[0].item();  // waits for the GPU
    return seconds_since(start) / repeats;
  }

  double least_seconds(const ops::Linear& layer, const at::Tensor& x, at::Tensor& out) const {
    const double try_seconds = device_.is_cpu() ? 2e-3 : 2e-2;  // far above clock and launch
    (void)timed(layer, x, out, 1);                              // touches the memory
    double least = timed(layer, x, out, 1);
    const int repeats = static_cast<int>(std::clamp(std::ceil(try_seconds / least), 1.0, 1e5));
    const auto start = Clock::now();
    for (int tries = 0; tries < least_tries || seconds_since(start) < seconds_each_; ++tries) {
      least = std::min(least, timed(layer, x, out, repeats));
    }
    return least;
  }

  at::Device device_;
  at::ScalarType dtype_;
  double seconds_each_;
  std::stop_token stop_;
};

ProductCeiling measure(const ForwardCost& cost, const CeilingOptions& options,
                       std::stop_token stop) {
  const Bench bench(options, std::move(stop));
  ProductCeiling ceiling;
  for (const LayerShape& layer : cost.layers) {
    ceiling.layers.push_back(bench.measured({.name = layer.name,
                                             .rows = options.samples * layer.rows,
                                             .in = layer.in,
                                             .out = layer.out}));
  }
  ceiling.gflops = combined_gflops(ceiling.layers);
  for (const auto n : bench.square_sizes()) {
    auto square =
        bench.measured({.name = fmt::format("{0} x {0} x {0}", n), .rows = n, .in = n, .out = n});
    if (square.gflops > ceiling.square.gflops) ceiling.square = std::move(square);
  }
  return ceiling;
}

}  // namespace

double combined_gflops(const std::vector<MeasuredProduct>& layers) {
  if (layers.empty()) throw InputError("no layers: nothing to measure a model's products by");
  double all = 0;
  double seconds = 0;
  for (const auto& layer : layers) {
    all += operations(layer);
    seconds += operations(layer) / (1e9 * layer.gflops);
  }
  return 1e-9 * all / seconds;
}

ProductCeiling faster(const ProductCeiling& a, const ProductCeiling& b) {
  if (a.layers.size() != b.layers.size()) {
    throw InputError(fmt::format("products of {} and of {} layers cannot be compared",
                                 a.layers.size(), b.layers.size()));
  }
  ProductCeiling best = a;
  for (std::size_t i = 0; i < best.layers.size(); ++i) {
    best.layers[i].gflops = std::max(a.layers[i].gflops, b.layers[i].gflops);
  }
  best.gflops = combined_gflops(best.layers);
  if (b.square.gflops > a.square.gflops) best.square = b.square;
  return best;
}

ProductCeiling measure_product_ceiling(const ForwardCost& cost, const CeilingOptions& options,
                                       std::stop_token stop) {
  if (cost.layers.empty()) throw InputError("no layers: the model's costs do not name any");
  if (options.samples < 1) {
    throw InputError(fmt::format("products of {} samples: give at least 1", options.samples));
  }
  ProductCeiling ceiling;
  with_our_errors("measure a smaller batch",
                  [&] { ceiling = measure(cost, options, std::move(stop)); });
  return ceiling;
}

}  // namespace l2c
