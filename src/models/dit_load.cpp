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

DenoiserInfo describe(const DiTConfig& config) {
  DenoiserInfo info;
  info.architecture = dit_name(config);
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

std::string looks_like(const DiTConfig& config, const ShapeMap& shapes) {
  const auto found = infer_dit_config(shapes);
  if (!found) return {};
  if (dit_shapes(*found) == dit_shapes(config)) {
    return "the file seems to be incomplete or to hold more than the model";
  }
  return fmt::format("the file looks like {}: name that architecture, or use another file",
                     describe_dit(*found));
}

}  // namespace

std::shared_ptr<const DiT> DiT::load(const DiTConfig& config, const io::Checkpoint& checkpoint,
                                     at::Device device, std::optional<at::ScalarType> products) {
  return load(config, StoredWeights(checkpoint), device, products);
}

std::shared_ptr<const DiT> DiT::load(const DiTConfig& config, const WeightSource& source,
                                     at::Device device, std::optional<at::ScalarType> products) {
  // Plain tensors whatever mode the caller is in: a model must also serve training.
  const c10::InferenceMode no_inference(false);
  const at::NoGradGuard no_grad;
  check_dit_config(config, "the model's configuration");
  check_weights(source, dit_shapes(config), describe_dit(config),
                [&] { return looks_like(config, source.shapes()); });
  if (device.is_cuda()) disable_tf32();
  DenoiserInfo info = describe(config);
  Fingerprint fingerprint(to_json(config));
  DiTWeights weights = pack_dit_weights(config, source, device, products, &fingerprint);
  info.fingerprint = fingerprint.text();
  return std::shared_ptr<const DiT>(new DiT(config, std::move(weights), std::move(info)));
}

std::shared_ptr<const DiT> DiT::around(const DiTConfig& config, DiTWeights weights) {
  check_dit_config(config, "the model's configuration");
  const auto shapes = dit_shapes(config);
  const auto tensors = unpack_dit_weights(config, weights);
  for (const auto& [name, shape] : shapes) {
    if (tensors.at(name).sizes() != c10::ArrayRef<std::int64_t>(shape)) {
      throw Error(fmt::format("the weights given do not fit {}: {} is [{}] instead of [{}]",
                              describe_dit(config), name, fmt::join(tensors.at(name).sizes(), ", "),
                              fmt::join(shape, ", ")));
    }
  }
  return std::shared_ptr<const DiT>(new DiT(config, std::move(weights), describe(config)));
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
