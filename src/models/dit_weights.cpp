#include "l2c/models/dit_weights.h"

#include <fmt/format.h>

#include "l2c/models/embeddings.h"
#include "packer.h"

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

DiTWeights pack_dit_weights(const DiTConfig& config, const WeightSource& source, at::Device device,
                            std::optional<at::ScalarType> products, Fingerprint* fingerprint) {
  const at::NoGradGuard no_grad;
  DiTWeights weights;
  Packer packer(source, device, products);
  packer.linear("x_embedder.proj", weights.patch);
  packer.tensor("pos_embed", weights.pos_embed);
  weights.frequencies = timestep_frequencies(DiTConfig::frequency_embedding_size).to(device);
  packer.linear("t_embedder.mlp.0", weights.time1);
  packer.linear("t_embedder.mlp.2", weights.time2);
  packer.tensor("y_embedder.embedding_table.weight", weights.label_embedding);
  weights.blocks.resize(static_cast<std::size_t>(config.depth));  // here they stay
  std::vector<std::string> modulations;
  for (int i = 0; i < config.depth; ++i) {
    const std::string name = block_name(i);
    DiTWeights::Block& block = weights.blocks[static_cast<std::size_t>(i)];
    packer.block_linear(name + "attn.qkv", block.qkv);
    packer.block_linear(name + "attn.proj", block.proj);
    packer.block_linear(name + "mlp.fc1", block.fc1);
    packer.block_linear(name + "mlp.fc2", block.fc2);
    modulations.push_back(name + "adaLN_modulation.1");
  }
  modulations.emplace_back("final_layer.adaLN_modulation.1");
  packer.stacked(modulations, weights.modulation);
  packer.linear("final_layer.linear", weights.final);
  packer.run(fingerprint);
  return weights;
}

SeededWeights seeded_dit_weights(const DiTConfig& config, std::uint64_t seed) {
  return {dit_shapes(config),
          seed,
          {{"pos_embed", sincos_positions(config.hidden_size, config.grid())}}};
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
