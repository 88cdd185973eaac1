#include "l2c/training/dit_init.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "l2c/models/dit_weights.h"
#include "l2c/models/embeddings.h"

namespace l2c {

namespace {

constexpr double embedding_deviation = 0.02;

// Uniform with variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010); [out, ...]: all axes
// after the first are inputs.
at::Tensor xavier_uniform(const std::vector<std::int64_t>& shape, const TrainingRandom& random,
                          std::int64_t number) {
  const std::int64_t count =
      std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
  const auto inputs = static_cast<double>(count / shape.front());
  const double bound = std::sqrt(6 / (inputs + static_cast<double>(shape.front())));
  const auto draws = random.uniform(DrawFor::weights, number, count);
  at::Tensor tensor = at::empty(shape, at::kFloat);
  std::transform(draws.begin(), draws.end(), tensor.mutable_data_ptr<float>(),
                 [&](double u) { return static_cast<float>((2 * u - 1) * bound); });
  return tensor;
}

bool starts_at_zero(const std::string& name, const std::vector<std::int64_t>& shape) {
  const bool modulation = name.find("adaLN_modulation") != std::string::npos;
  return shape.size() == 1 || modulation || name.starts_with("final_layer.");
}

bool is_embedding(const std::string& name) {
  return name.starts_with("t_embedder.") || name.starts_with("y_embedder.");
}

}  // namespace

io::TensorMap initial_dit_weights(const DiTConfig& config, const TrainingRandom& random) {
  io::TensorMap tensors;
  std::int64_t number = 0;  // of the tensor: each draws from a stream of its own
  for (const auto& [name, shape] : dit_shapes(config)) {
    ++number;
    if (name == "pos_embed") {
      tensors[name] = sincos_positions(config.hidden_size, config.grid());
    } else if (starts_at_zero(name, shape)) {
      tensors[name] = at::zeros(shape, at::kFloat);
    } else if (is_embedding(name)) {
      tensors[name] = random.normal(DrawFor::weights, number, shape) * embedding_deviation;
    } else {
      tensors[name] = xavier_uniform(shape, random, number);
    }
  }
  return tensors;
}

}  // namespace l2c
