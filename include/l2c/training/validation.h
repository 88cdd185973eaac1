// How well a model predicts noise on images it was not trained on.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <stop_token>

#include "l2c/datasets/dataset.h"
#include "l2c/models/denoiser.h"

namespace l2c {

struct ValidationOptions {
  std::int64_t images = 0;   // the first so many of the data; 0: all
  std::uint64_t seed = 123;  // of timesteps and noise: the same for every model compared
  int batch_size = 100;
};

struct ValidationResult {
  std::int64_t images = 0;
  double mse = 0;  // mean square error of the predicted noise, one timestep an image
  double vb = 0;   // the variational term in bits; 0 for a model that does not learn its variance
  // mse of the timesteps 0 ... 99, 100 ... 199, ...; NaN where none was drawn.
  std::array<double, 10> mse_by_timestep{};
};

// One timestep and noise for each image, drawn by (seed, image): the batch size changes nothing but
// rounding. Images are given their own label. Throws InputError (data that do not fit the model,
// fewer images than asked for, numbers out of range), Cancelled, RunError (out of memory).
// Thread-safe.
ValidationResult validate(
    const Denoiser& model, const DataSet& data, const ValidationOptions& options = {},
    const std::function<void(std::int64_t done, std::int64_t of)>& progress = {},
    const std::stop_token& stop = {});

}  // namespace l2c
