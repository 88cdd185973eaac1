#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <set>
#include <utility>

#include "diffusers.h"
#include "l2c/core/error.h"
#include "l2c/models/dit_infer.h"
#include "l2c/models/dit_weights.h"
#include "l2c/models/embeddings.h"
#include "l2c/models/weights.h"

namespace l2c {

namespace {

using Parts = std::map<std::string, std::vector<std::string>>;

// What Diffusers keeps in every block and the official DiT once, beside the official name.
constexpr std::array embedders{
    std::pair{"norm1.emb.timestep_embedder.linear_1.weight", "t_embedder.mlp.0.weight"},
    std::pair{"norm1.emb.timestep_embedder.linear_1.bias", "t_embedder.mlp.0.bias"},
    std::pair{"norm1.emb.timestep_embedder.linear_2.weight", "t_embedder.mlp.2.weight"},
    std::pair{"norm1.emb.timestep_embedder.linear_2.bias", "t_embedder.mlp.2.bias"},
    std::pair{"norm1.emb.class_embedder.embedding_table.weight",
              "y_embedder.embedding_table.weight"}};

constexpr const char* positions_name = "pos_embed";

std::string block_name(int block) { return fmt::format("transformer_blocks.{}.", block); }

// Official name -> names in the file.
Parts name_parts(const DiTConfig& config) {
  Parts parts;
  const auto layer = [&](const std::string& official, const std::vector<std::string>& stored) {
    for (const char* end : {".weight", ".bias"}) {
      for (const auto& name : stored) parts[official + end].push_back(name + end);
    }
  };
  layer("x_embedder.proj", {"pos_embed.proj"});
  for (const auto& [stored, official] : embedders) parts[official] = {block_name(0) + stored};
  for (int i = 0; i < config.depth; ++i) {
    const std::string official = fmt::format("blocks.{}.", i);
    const std::string stored = block_name(i);
    layer(official + "adaLN_modulation.1", {stored + "norm1.linear"});
    layer(official + "attn.qkv",
          {stored + "attn1.to_q", stored + "attn1.to_k", stored + "attn1.to_v"});
    layer(official + "attn.proj", {stored + "attn1.to_out.0"});
    layer(official + "mlp.fc1", {stored + "ff.net.0.proj"});
    layer(official + "mlp.fc2", {stored + "ff.net.2"});
  }
  layer("final_layer.adaLN_modulation.1", {"proj_out_1"});
  layer("final_layer.linear", {"proj_out_2"});
  return parts;
}

// The type that holds the values of both. LibTorch names none for float8 beside another.
at::ScalarType common_type(at::ScalarType a, at::ScalarType b) {
  if (a == b) return a;
  if (c10::isFloat8Type(a)) a = at::kFloat;
  if (c10::isFloat8Type(b)) b = at::kFloat;
  return c10::promoteTypes(a, b);
}

bool equal_bits(const at::Tensor& a, const at::Tensor& b) {
  if (a.scalar_type() != b.scalar_type() || a.sizes() != b.sizes()) return false;
  const at::Tensor left = a.contiguous();
  const at::Tensor right = b.contiguous();
  return std::memcmp(left.const_data_ptr(), right.const_data_ptr(), left.nbytes()) == 0;
}

void check_embedders(const StoredWeights& stored, const DiTConfig& config) {
  std::set<int> blocks;
  std::string tensor;
  for (const auto& [name, official] : embedders) {
    const std::string first = block_name(0) + name;
    for (int i = 1; i < config.depth; ++i) {
      const std::string other = block_name(i) + name;
      if (!equal_bits(stored.tensor(first), stored.tensor(other)) && blocks.insert(i).second &&
          tensor.empty()) {
        tensor = other;
      }
      stored.release(other);
    }
    stored.release(first);
  }
  if (blocks.empty()) return;
  throw InputError(fmt::format(
      "{}: the timestep or label embedder of block{} {} is not that of block 0 (tensor {}): the "
      "official DiT has one for all blocks, so this file can't be loaded; was it trained or merged "
      "with each copy on its own?",
      stored.description(), blocks.size() > 1 ? "s" : "", fmt::join(blocks, ", "), tensor));
}

}  // namespace

ShapeMap diffusers_shapes(const DiTConfig& config) {
  ShapeMap official = dit_shapes(config);
  ShapeMap shapes;
  for (const auto& [name, parts] : name_parts(config)) {
    auto shape = official.at(name);
    shape.front() /= static_cast<std::int64_t>(parts.size());
    for (const auto& part : parts) shapes[part] = shape;
  }
  for (int i = 1; i < config.depth; ++i) {
    for (const auto& [name, of] : embedders) shapes[block_name(i) + name] = official.at(of);
  }
  return shapes;
}

DiffusersWeights::DiffusersWeights(const DiTConfig& config, const io::Checkpoint& checkpoint)
    : stored_(checkpoint) {
  // Before names are made for so many blocks.
  if (static_cast<std::size_t>(config.depth) > checkpoint.tensors.size()) {
    throw InputError(
        fmt::format("{}: {} tensors for the {} blocks of the configuration: use the config.json "
                    "that belongs to the file",
                    description(), checkpoint.tensors.size(), config.depth));
  }
  check_weights(stored_, diffusers_shapes(config), describe_dit(config) + " as Diffusers stores it",
                [] { return std::string("use the config.json that belongs to the file"); });
  check_embedders(stored_, config);
  shapes_ = dit_shapes(config);
  parts_ = name_parts(config);
  positions_ = sincos_positions(config.hidden_size, config.grid());
}

const std::vector<std::string>& DiffusersWeights::parts(const std::string& name) const {
  const auto found = parts_.find(name);
  if (found == parts_.end()) {
    throw Error(fmt::format("{} has no tensor {}", description(), name));
  }
  return found->second;
}

at::ScalarType DiffusersWeights::dtype(const std::string& name) const {
  if (name == positions_name) return positions_.scalar_type();
  at::ScalarType type = stored_.dtype(parts(name).front());
  for (const auto& part : parts(name)) type = common_type(type, stored_.dtype(part));
  return type;
}

at::Tensor DiffusersWeights::tensor(const std::string& name) const {
  if (name == positions_name) return positions_;
  return parts(name).size() == 1 ? stored_.tensor(parts(name).front()) : stacked(name);
}

at::Tensor DiffusersWeights::stacked(const std::string& name) const {
  const at::NoGradGuard no_grad;
  const at::ScalarType type = dtype(name);
  if (!memory_.defined() || memory_.scalar_type() != type) {
    std::int64_t largest = 0;
    for (const auto& [other, parts] : parts_) {
      if (parts.size() > 1) largest = std::max(largest, c10::multiply_integers(shapes_.at(other)));
    }
    memory_ = at::empty({largest}, type);
  }
  const auto& shape = shapes_.at(name);
  at::Tensor all = memory_.narrow(0, 0, c10::multiply_integers(shape)).view(shape);
  std::int64_t row = 0;
  for (const auto& part : parts(name)) {
    const at::Tensor values = stored_.tensor(part);
    all.narrow(0, row, values.size(0)).copy_(values);
    row += values.size(0);
  }
  return all;
}

void DiffusersWeights::release(const std::string& name) const {
  if (name == positions_name) return;
  for (const auto& part : parts(name)) stored_.release(part);
}

}  // namespace l2c
