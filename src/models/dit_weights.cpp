#include "l2c/models/dit_weights.h"

#include <fmt/format.h>

#include "l2c/models/embeddings.h"

namespace l2c {

namespace {

std::string block_name(int block) { return fmt::format("blocks.{}.", block); }

}  // namespace

ShapeMap dit_shapes(const DiTConfig& config) {
  const std::int64_t width = config.hidden_size;
  const std::int64_t mlp = config.mlp_width();
  const std::int64_t patch = config.patch_size;
  const std::int64_t null_row = config.class_dropout_prob > 0 ? 1 : 0;
  ShapeMap shapes;
  const auto linear = [&](const std::string& name, std::int64_t out, std::int64_t in) {
    shapes[name + ".weight"] = {out, in};
    shapes[name + ".bias"] = {out};
  };
  shapes["pos_embed"] = {1, config.tokens(), width};
  shapes["x_embedder.proj.weight"] = {width, config.in_channels, patch, patch};
  shapes["x_embedder.proj.bias"] = {width};
  linear("t_embedder.mlp.0", width, DiTConfig::frequency_embedding_size);
  linear("t_embedder.mlp.2", width, width);
  shapes["y_embedder.embedding_table.weight"] = {config.num_classes + null_row, width};
  for (int i = 0; i < config.depth; ++i) {
    const std::string block = block_name(i);
    linear(block + "adaLN_modulation.1", 6 * width, width);
    linear(block + "attn.qkv", 3 * width, width);
    linear(block + "attn.proj", width, width);
    linear(block + "mlp.fc1", mlp, width);
    linear(block + "mlp.fc2", width, mlp);
  }
  linear("final_layer.adaLN_modulation.1", 2 * width, width);
  linear("final_layer.linear", patch * patch * config.out_channels(), width);
  return shapes;
}

namespace {

// Hands out copies of a checkpoint's tensors: contiguous, fp32, on the device, independent of the
// file.
class Packer {
 public:
  Packer(const io::TensorMap& tensors, at::Device device, bool prepare)
      : tensors_(tensors), device_(device), prepare_(prepare) {}

  [[nodiscard]] at::Tensor tensor(const std::string& name) const {
    return tensors_.at(name).detach().to(at::TensorOptions(at::kFloat).device(device_),
                                         /*non_blocking=*/false, /*copy=*/true,
                                         at::MemoryFormat::Contiguous);
  }
  [[nodiscard]] ops::Linear linear(const std::string& name, at::ScalarType products) const {
    return finished({tensor(name + ".weight").flatten(1), tensor(name + ".bias")}, products);
  }
  // Several layers with the same input as one.
  [[nodiscard]] ops::Linear stacked(const std::vector<std::string>& names,
                                    at::ScalarType products) const {
    std::vector<at::Tensor> weights, biases;
    for (const auto& name : names) {
      weights.push_back(tensor(name + ".weight"));
      biases.push_back(tensor(name + ".bias"));
    }
    return finished({at::cat(weights), at::cat(biases)}, products);
  }

 private:
  [[nodiscard]] ops::Linear finished(ops::Linear layer, at::ScalarType products) const {
    return prepare_ ? ops::prepared(layer, products) : layer;
  }
  const io::TensorMap& tensors_;
  at::Device device_;
  bool prepare_;
};

}  // namespace

DiTWeights pack_dit_weights(const DiTConfig& config, const io::TensorMap& tensors,
                            at::Device device, std::optional<at::ScalarType> products) {
  const Packer packer(tensors, device, products.has_value());
  const at::ScalarType in_blocks = products.value_or(at::kFloat);
  DiTWeights weights;
  weights.patch = packer.linear("x_embedder.proj", at::kFloat);
  weights.pos_embed = packer.tensor("pos_embed");
  weights.frequencies = timestep_frequencies(DiTConfig::frequency_embedding_size).to(device);
  weights.time1 = packer.linear("t_embedder.mlp.0", at::kFloat);
  weights.time2 = packer.linear("t_embedder.mlp.2", at::kFloat);
  weights.label_embedding = packer.tensor("y_embedder.embedding_table.weight");
  std::vector<std::string> modulations;
  for (int i = 0; i < config.depth; ++i) {
    const std::string block = block_name(i);
    weights.blocks.push_back({packer.linear(block + "attn.qkv", in_blocks),
                              packer.linear(block + "attn.proj", in_blocks),
                              packer.linear(block + "mlp.fc1", in_blocks),
                              packer.linear(block + "mlp.fc2", in_blocks)});
    modulations.push_back(block + "adaLN_modulation.1");
  }
  modulations.emplace_back("final_layer.adaLN_modulation.1");
  weights.modulation = packer.stacked(modulations, in_blocks);
  weights.final = packer.linear("final_layer.linear", at::kFloat);
  return weights;
}

namespace {

// Writes layers under their official names.
class Unpacker {
 public:
  void tensor(const std::string& name, const at::Tensor& value) { tensors_[name] = value; }
  void linear(const std::string& name, const ops::Linear& layer) {
    tensors_[name + ".weight"] = layer.weight;
    tensors_[name + ".bias"] = layer.bias;
  }
  // Rows [first, first + count) of several layers packed as one.
  void rows(const std::string& name, const ops::Linear& layer, std::int64_t first,
            std::int64_t count) {
    linear(name, {layer.weight.narrow(0, first, count), layer.bias.narrow(0, first, count)});
  }
  io::TensorMap take() { return std::move(tensors_); }

 private:
  io::TensorMap tensors_;
};

}  // namespace

io::TensorMap unpack_dit_weights(const DiTConfig& config, const DiTWeights& weights) {
  const std::int64_t width = config.hidden_size;
  const std::int64_t patch = config.patch_size;
  Unpacker out;
  out.tensor("pos_embed", weights.pos_embed);
  out.tensor("x_embedder.proj.weight",
             weights.patch.weight.view({-1, config.in_channels, patch, patch}));
  out.tensor("x_embedder.proj.bias", weights.patch.bias);
  out.linear("t_embedder.mlp.0", weights.time1);
  out.linear("t_embedder.mlp.2", weights.time2);
  out.tensor("y_embedder.embedding_table.weight", weights.label_embedding);
  for (std::size_t i = 0; i < weights.blocks.size(); ++i) {
    const std::string block = block_name(static_cast<int>(i));
    out.linear(block + "attn.qkv", weights.blocks[i].qkv);
    out.linear(block + "attn.proj", weights.blocks[i].proj);
    out.linear(block + "mlp.fc1", weights.blocks[i].fc1);
    out.linear(block + "mlp.fc2", weights.blocks[i].fc2);
    out.rows(block + "adaLN_modulation.1", weights.modulation,
             static_cast<std::int64_t>(i) * 6 * width, 6 * width);
  }
  out.rows("final_layer.adaLN_modulation.1", weights.modulation,
           static_cast<std::int64_t>(weights.blocks.size()) * 6 * width, 2 * width);
  out.linear("final_layer.linear", weights.final);
  return out.take();
}

void for_each_parameter(DiTWeights& weights,
                        const std::function<void(const std::string& name, at::Tensor&)>& visit) {
  const auto linear = [&](const std::string& name, ops::Linear& layer) {
    visit(name + ".weight", layer.weight);
    visit(name + ".bias", layer.bias);
  };
  linear("patch", weights.patch);
  linear("time1", weights.time1);
  linear("time2", weights.time2);
  visit("label_embedding", weights.label_embedding);
  linear("modulation", weights.modulation);
  for (std::size_t i = 0; i < weights.blocks.size(); ++i) {
    const std::string block = block_name(static_cast<int>(i));
    linear(block + "qkv", weights.blocks[i].qkv);
    linear(block + "proj", weights.blocks[i].proj);
    linear(block + "fc1", weights.blocks[i].fc1);
    linear(block + "fc2", weights.blocks[i].fc2);
  }
  linear("final", weights.final);
}

}  // namespace l2c
