#include "inception_weights.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/golden.h"

namespace l2c::test {

namespace {

// splitmix64, as a number in [0, 1) of 24 bits.
double noise(std::uint64_t stream, std::uint64_t number) {
  std::uint64_t z = (stream << 40U) + number + 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
  z = z ^ (z >> 31U);
  return static_cast<double>(z >> 40U) / 16777216.0;
}

at::Tensor weight(const std::string& name, std::uint64_t index,
                  const std::vector<std::int64_t>& shape) {
  const auto tensor = at::empty(shape);
  auto* values = tensor.mutable_data_ptr<float>();
  const bool scale = name.ends_with("bn.weight") || name.ends_with("bn.running_var");
  const bool shift = name.ends_with(".bias") || name.ends_with("running_mean");
  const double small = name == "fc.bias" ? 1 : 0.1;
  const double spread =
      std::sqrt(6 / (static_cast<double>(tensor.numel()) / static_cast<double>(tensor.size(0))));
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    const double u = noise(index, static_cast<std::uint64_t>(i));
    const double value = scale   ? 0.75 + 0.5 * u
                         : shift ? (2 * u - 1) * small
                                 : (2 * u - 1) * spread;
    values[i] = static_cast<float>(value);
  }
  return tensor;
}

}  // namespace

io::TensorMap inception_weights() {
  const auto file = io::SafetensorsFile::open(data("evaluation/inception.safetensors"));
  // Sorted by name.
  const auto shapes = nlohmann::json::parse(file.metadata().at("shapes"));
  io::TensorMap weights;
  std::uint64_t index = 0;
  for (const auto& [name, shape] : shapes.items()) {
    weights[name] = weight(name, index++, shape.get<std::vector<std::int64_t>>());
  }
  return weights;
}

at::Tensor inception_images(std::uint64_t stream, std::int64_t count, std::int64_t size) {
  const auto images = at::empty({count, 3, size, size});
  auto* values = images.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < images.numel(); ++i) {
    values[i] =
        static_cast<float>(std::floor(noise(stream, static_cast<std::uint64_t>(i)) * 256) / 127.5) -
        1;
  }
  return images;
}

}  // namespace l2c::test
