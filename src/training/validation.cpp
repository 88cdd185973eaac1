#include "l2c/training/validation.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "check_data.h"
#include "l2c/core/error.h"
#include "l2c/core/torch_errors.h"
#include "l2c/diffusion/loss.h"
#include "l2c/training/random.h"

namespace l2c {

namespace {

struct Draws {
  at::Tensor t;      // [N] int64
  at::Tensor noise;  // like the images
};

// By image, not by batch.
Draws draw(const TrainingRandom& random, std::int64_t first, at::IntArrayRef shape, int steps) {
  Draws draws{at::empty({shape[0]}, at::kLong), at::empty(shape, at::kFloat)};
  for (std::int64_t i = 0; i < shape[0]; ++i) {
    draws.t[i] = random.integers(DrawFor::timestep, first + i, 1, steps).front();
    draws.noise[i] = random.normal(DrawFor::noise, first + i, shape.slice(1));
  }
  return draws;
}

class Sums {
 public:
  void add(const TrainingLoss& loss, const at::Tensor& t, int steps) {
    const at::Tensor mse = loss.mse.to(at::kCPU, at::kDouble);
    mse_ += mse.sum().item<double>();
    if (loss.vb.defined()) vb_ += loss.vb.to(at::kDouble).sum().item<double>();
    for (std::int64_t i = 0; i < t.size(0); ++i) {
      const auto part = static_cast<std::size_t>(t[i].item<std::int64_t>() * 10 / steps);
      by_timestep_[part] += mse[i].item<double>();
      ++counts_[part];
    }
  }
  [[nodiscard]] ValidationResult mean(std::int64_t images) const {
    const auto count = static_cast<double>(images);
    ValidationResult result{.images = images, .mse = mse_ / count, .vb = vb_ / count};
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      result.mse_by_timestep[i] = by_timestep_[i] / counts_[i];
    }
    return result;
  }

 private:
  double mse_ = 0, vb_ = 0;
  std::array<double, 10> by_timestep_{};
  std::array<double, 10> counts_{};
};

ValidationResult run(const Denoiser& model, const DataSet& data, const ValidationOptions& options,
                     const std::function<void(std::int64_t, std::int64_t)>& progress,
                     const std::stop_token& stop) {
  const auto& info = model.info();
  check_data({info.in_channels, info.input_size, info.num_classes}, data.info());
  if (options.images < 0) {
    throw InputError(
        fmt::format("{} images: give the first so many, or 0 for all", options.images));
  }
  const std::int64_t images = options.images > 0 ? options.images : data.info().size;
  if (options.batch_size < 1 || images > data.info().size) {
    throw InputError(
        fmt::format("{} images in batches of {}: the data have {}, and a batch needs "
                    "at least one",
                    images, options.batch_size, data.info().size));
  }
  const c10::InferenceMode no_autograd;
  const Schedule schedule = make_schedule("");
  const TrainingRandom random(options.seed);
  Sums sums;
  for (std::int64_t first = 0; first < images; first += options.batch_size) {
    if (stop.stop_requested()) throw Cancelled("cancelled; nothing was written");
    std::vector<std::int64_t> numbers(
        static_cast<std::size_t>(std::min<std::int64_t>(options.batch_size, images - first)));
    std::iota(numbers.begin(), numbers.end(), first);
    const DataBatch batch = data.batch(numbers);
    const Draws draws = draw(random, first, batch.x.sizes(), schedule.steps());
    const at::Tensor x0 = batch.x.to(model.device());
    const at::Tensor noise = draws.noise.to(model.device());
    const at::Tensor t = draws.t.to(model.device());
    const at::Tensor x_t = q_sample(schedule, t, x0, noise);
    ComputeAllRunner runner;
    const at::Tensor output = model.forward(x_t, t, batch.y.to(model.device()), runner);
    sums.add(training_loss(schedule, t, x0, x_t, noise, output), draws.t, schedule.steps());
    if (progress) progress(first + batch.x.size(0), images);
  }
  return sums.mean(images);
}

}  // namespace

ValidationResult validate(const Denoiser& model, const DataSet& data,
                          const ValidationOptions& options,
                          const std::function<void(std::int64_t, std::int64_t)>& progress,
                          const std::stop_token& stop) {
  ValidationResult result;
  with_our_errors("try a smaller batch",
                  [&] { result = run(model, data, options, progress, stop); });
  return result;
}

}  // namespace l2c
