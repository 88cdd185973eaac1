// Packing a model's weights as they come out of their source. Private to models.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "l2c/core/torch.h"
#include "l2c/models/weight_source.h"
#include "l2c/models/weights.h"
#include "l2c/ops/linear.h"
#include "l2c/ops/linear_builder.h"

namespace l2c {

// First it is told where the weights belong, then run() takes them out of the source: each once, in
// the order of the names, and given back before the next. Beside what is packed, memory holds one
// tensor at a time. Targets are contiguous, on the device, independent of the source, and must stay
// where they are until run() is done.
class Packer {
 public:
  // `products`: see LinearBuilder. The source has all tensors that are asked for (check_weights).
  Packer(const WeightSource& source, at::Device device, std::optional<at::ScalarType> products);

  void tensor(const std::string& name, at::Tensor& target);
  // NAME.weight (axes after the first are flattened) and NAME.bias; prepared for speed where the
  // model is, then in fp32.
  void linear(const std::string& name, ops::Linear& target);
  // A layer of the blocks: prepared in the type of the products.
  void block_linear(const std::string& name, ops::Linear& target);
  // Several layers of the blocks with the same input as one.
  void stacked(const std::vector<std::string>& names, ops::Linear& target);

  // With `fingerprint`, every tensor is added to it. Once.
  void run(Fingerprint* fingerprint);

 private:
  using Place = std::function<void(const at::Tensor& values)>;
  void layer(const std::vector<std::string>& names, ops::Linear& target,
             std::optional<at::ScalarType> products);
  // fp32 and contiguous, without a copy where it is so already.
  at::Tensor widened(const at::Tensor& stored);

  const WeightSource& source_;
  at::Device device_;
  std::optional<at::ScalarType> products_;
  std::map<std::string, Place> places_;
  std::list<std::pair<ops::LinearBuilder, ops::Linear*>> layers_;
  at::Tensor memory_;  // of the largest tensor that is widened: no holes are left in the heap
};

}  // namespace l2c
