#include "l2c/models/weight_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <span>
#include <utility>

#include "l2c/core/error.h"
#include "l2c/models/weight_seed.h"

namespace l2c {

namespace {

template <class Map>
typename Map::const_iterator entry(const Map& map, const std::string& name,
                                   const std::string& description) {
  const auto found = map.find(name);
  if (found == map.end()) throw Error(fmt::format("{} has no tensor {}", description, name));
  return found;
}

// r, in place, turned into the weight that the rule makes of it.
void apply_rule(at::Tensor& r, const std::string& name) {
  constexpr double small = 0.02;
  const bool is_matrix = r.dim() >= 2;
  if (name.ends_with("embedding_table.weight") || name.ends_with("label_emb.weight") ||
      name.ends_with("pos_embed")) {
    r.mul_(small);
  } else if (is_matrix) {
    const auto inputs = static_cast<double>(r.numel() / r.size(0));
    r.mul_(1 / std::sqrt(inputs));
    if (name.find("adaLN_modulation") != std::string::npos) r.mul_(0.5);
  } else if (name.ends_with(".weight")) {
    r.mul_(small).add_(1);
  } else {
    r.mul_(small);
  }
}

}  // namespace

ShapeMap shapes_of(const io::TensorMap& tensors) {
  ShapeMap shapes;
  for (const auto& [name, tensor] : tensors) shapes.emplace(name, tensor.sizes().vec());
  return shapes;
}

StoredWeights::StoredWeights(const io::Checkpoint& checkpoint)
    : StoredWeights(checkpoint.tensors, checkpoint.path.string()) {
  files_ = checkpoint.shards;
  if (checkpoint.file) files_.push_back(checkpoint.file);
}

StoredWeights::StoredWeights(io::TensorMap tensors, std::string description)
    : description_(std::move(description)),
      tensors_(std::move(tensors)),
      shapes_(shapes_of(tensors_)) {}

at::ScalarType StoredWeights::dtype(const std::string& name) const {
  return entry(tensors_, name, description_)->second.scalar_type();
}

at::Tensor StoredWeights::tensor(const std::string& name) const {
  return entry(tensors_, name, description_)->second;
}

void StoredWeights::release(const std::string& name) const {
  const at::Tensor& tensor = entry(tensors_, name, description_)->second;
  if (!tensor.is_cpu() || !tensor.is_contiguous()) return;
  for (const auto& file : files_) {  // all but one leave alone what is not theirs
    file->drop_pages({static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()});
  }
}

SeededWeights::SeededWeights(ShapeMap shapes, std::uint64_t seed, io::TensorMap computed)
    : description_(fmt::format("seeded:{}", seed)),
      shapes_(std::move(shapes)),
      seed_(seed),
      computed_(std::move(computed)) {
  if (seed > largest_weight_seed) {
    throw InputError(fmt::format("weights from seed {}: give 0 to {}", seed, largest_weight_seed));
  }
}

at::ScalarType SeededWeights::dtype(const std::string& name) const {
  const auto found = computed_.find(name);
  return found == computed_.end() ? at::kFloat : found->second.scalar_type();
}

at::Tensor SeededWeights::tensor(const std::string& name) const {
  const auto found = entry(shapes_, name, description_);
  const auto computed = computed_.find(name);
  if (computed != computed_.end()) return computed->second;
  const at::NoGradGuard no_grad;
  if (!memory_.defined()) {
    std::int64_t largest = 0;
    for (const auto& [other, shape] : shapes_)
      largest = std::max(largest, c10::multiply_integers(shape));
    memory_ = at::empty({largest}, at::kFloat);
  }
  const std::vector<std::int64_t>& shape = found->second;
  const auto number = static_cast<std::uint64_t>(std::distance(shapes_.begin(), found));
  at::Tensor result = memory_.narrow(0, 0, c10::multiply_integers(shape)).view(shape);
  result.normal_(0, 1, at::detail::createCPUGenerator(seed_ * 100000 + number));
  apply_rule(result, name);
  return result;
}

void SeededWeights::release(const std::string& /*name*/) const {}

}  // namespace l2c
