#include "packer.h"

#include <c10/util/accumulate.h>

#include <algorithm>

namespace l2c {

Packer::Packer(const WeightSource& source, at::Device device,
               std::optional<at::ScalarType> products)
    : source_(source), device_(device), products_(products) {}

void Packer::tensor(const std::string& name, at::Tensor& target) {
  places_[name] = [this, &target](const at::Tensor& values) {
    target = at::empty(values.sizes(), at::TensorOptions(at::kFloat).device(device_));
    target.copy_(values);
  };
}

void Packer::linear(const std::string& name, ops::Linear& target) {
  layer({name}, target, products_ ? std::optional(at::kFloat) : std::nullopt);
}

void Packer::block_linear(const std::string& name, ops::Linear& target) {
  layer({name}, target, products_);
}

void Packer::stacked(const std::vector<std::string>& names, ops::Linear& target) {
  layer(names, target, products_);
}

void Packer::layer(const std::vector<std::string>& names, ops::Linear& target,
                   std::optional<at::ScalarType> products) {
  const ShapeMap& shapes = source_.shapes();
  std::int64_t rows = 0;
  for (const auto& name : names) rows += shapes.at(name + ".weight").front();
  const auto& shape = shapes.at(names.front() + ".weight");
  auto& [builder, goal] = layers_.emplace_back(
      ops::LinearBuilder(rows, c10::multiply_integers(shape) / shape.front(), device_, products),
      &target);
  std::int64_t first = 0;
  for (const auto& name : names) {
    places_[name + ".weight"] = [&into = builder, first](const at::Tensor& values) {
      into.weight(first, values.flatten(1));
    };
    places_[name + ".bias"] = [&into = builder, first](const at::Tensor& values) {
      into.bias(first, values);
    };
    first += shapes.at(name + ".weight").front();
  }
}

at::Tensor Packer::widened(const at::Tensor& stored) {
  if (stored.scalar_type() == at::kFloat) return stored.contiguous();
  if (!stored.is_cpu()) return stored.to(at::kFloat).contiguous();
  if (!memory_.defined()) {
    std::int64_t largest = 0;
    for (const auto& [name, shape] : source_.shapes()) {
      if (source_.dtype(name) != at::kFloat)
        largest = std::max(largest, c10::multiply_integers(shape));
    }
    memory_ = at::empty({largest}, at::kFloat);
  }
  at::Tensor values = memory_.narrow(0, 0, stored.numel()).view(stored.sizes());
  return values.copy_(stored);
}

void Packer::run(Fingerprint* fingerprint) {
  for (const auto& [name, shape] : source_.shapes()) {
    {
      const at::Tensor values = widened(source_.tensor(name).detach());
      if (fingerprint != nullptr) fingerprint->add(name, values);
      places_.at(name)(values);
    }
    source_.release(name);
  }
  for (auto& [builder, target] : layers_) *target = builder.take();
}

}  // namespace l2c
