// From a checkpoint to packed weights.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "l2c/core/device.h"
#include "l2c/core/error.h"
#include "l2c/models/dit.h"
#include "l2c/models/dit_infer.h"
#include "l2c/models/embeddings.h"
#include "l2c/models/weights.h"

namespace l2c {

namespace {

std::string block_name(int block) { return fmt::format("blocks.{}.", block); }

// Names and shapes of the official state_dict.
ShapeMap expected_shapes(const DiTConfig& config) {
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

// Hands out copies of a checkpoint's tensors: contiguous, fp32, on the device, independent of the
// file.
class Packer {
 public:
  Packer(const io::TensorMap& tensors, at::Device device) : tensors_(tensors), device_(device) {}

  [[nodiscard]] at::Tensor tensor(const std::string& name) const {
    return tensors_.at(name).detach().to(at::TensorOptions(at::kFloat).device(device_),
                                         /*non_blocking=*/false, /*copy=*/true,
                                         at::MemoryFormat::Contiguous);
  }
  [[nodiscard]] ops::Linear linear(const std::string& name) const {
    return {tensor(name + ".weight"), tensor(name + ".bias")};
  }
  // Several layers with the same input as one.
  [[nodiscard]] ops::Linear stacked(const std::vector<std::string>& names) const {
    std::vector<at::Tensor> weights, biases;
    for (const auto& name : names) {
      weights.push_back(tensor(name + ".weight"));
      biases.push_back(tensor(name + ".bias"));
    }
    return {at::cat(weights), at::cat(biases)};
  }

 private:
  const io::TensorMap& tensors_;
  at::Device device_;
};

DiTWeights pack(const DiTConfig& config, const io::TensorMap& tensors, at::Device device) {
  const Packer packer(tensors, device);
  DiTWeights weights;
  weights.patch = packer.linear("x_embedder.proj");
  weights.patch.weight = weights.patch.weight.flatten(1);
  weights.pos_embed = packer.tensor("pos_embed");
  weights.frequencies = timestep_frequencies(DiTConfig::frequency_embedding_size).to(device);
  weights.time1 = packer.linear("t_embedder.mlp.0");
  weights.time2 = packer.linear("t_embedder.mlp.2");
  weights.label_embedding = packer.tensor("y_embedder.embedding_table.weight");
  std::vector<std::string> modulations;
  for (int i = 0; i < config.depth; ++i) {
    const std::string block = block_name(i);
    weights.blocks.push_back({packer.linear(block + "attn.qkv"), packer.linear(block + "attn.proj"),
                              packer.linear(block + "mlp.fc1"), packer.linear(block + "mlp.fc2")});
    modulations.push_back(block + "adaLN_modulation.1");
  }
  modulations.emplace_back("final_layer.adaLN_modulation.1");
  weights.modulation = packer.stacked(modulations);
  weights.final = packer.linear("final_layer.linear");
  return weights;
}

DenoiserInfo describe(const DiTConfig& config, const io::TensorMap& tensors) {
  DenoiserInfo info;
  info.architecture = dit_name(config);
  info.fingerprint = fingerprint(tensors, to_json(config));
  info.in_channels = config.in_channels;
  info.out_channels = config.out_channels();
  info.input_size = config.input_size;
  info.blocks = config.depth;
  info.tokens = config.tokens();
  info.width = config.hidden_size;
  info.num_classes = config.num_classes;
  if (config.class_dropout_prob > 0) info.null_label = config.num_classes;
  return info;
}

std::string looks_like(const DiTConfig& config, const io::TensorMap& tensors) {
  const auto found = infer_dit_config(tensors);
  if (!found) return {};
  if (expected_shapes(*found) == expected_shapes(config)) {
    return "the file seems to be incomplete or to hold more than the model";
  }
  return fmt::format("the file looks like {}: name that architecture, or use another file",
                     describe_dit(*found));
}

}  // namespace

std::shared_ptr<const DiT> DiT::load(const DiTConfig& config, const io::Checkpoint& checkpoint,
                                     at::Device device) {
  // Plain tensors whatever mode the caller is in: a model must also serve training.
  const c10::InferenceMode no_inference(false);
  const at::NoGradGuard no_grad;
  check_dit_config(config, "the model's configuration");
  check_weights(checkpoint, expected_shapes(config), describe_dit(config),
                [&] { return looks_like(config, checkpoint.tensors); });
  if (device.is_cuda()) disable_tf32();
  return std::shared_ptr<const DiT>(new DiT(config, pack(config, checkpoint.tensors, device),
                                            describe(config, checkpoint.tensors)));
}

DiTConfig resolve_dit_config(const std::string& arch, const io::Checkpoint& checkpoint) {
  const std::string file = checkpoint.path.string();
  const auto own = checkpoint.metadata.find("config");
  const bool has_own = own != checkpoint.metadata.end();
  if (arch.empty() && !has_own) {
    throw InputError(fmt::format(
        "{} does not say what architecture it has: name a JSON configuration or one of {}", file,
        fmt::join(dit_preset_names(), ", ")));
  }
  if (!has_own) return dit_config(arch);
  const DiTConfig in_file = dit_config_from_json(own->second, file + ", metadata \"config\"");
  if (arch.empty()) return in_file;
  const DiTConfig asked = dit_config(arch);
  if (asked == in_file) return asked;
  throw InputError(fmt::format("{} is not {}: {} (in {} and in the file)", file, arch,
                               differences(asked, in_file), arch));
}

}  // namespace l2c
