// From a folder of Diffusers to a decoder.
#include <fmt/format.h>

#include <array>
#include <utility>

#include "diffusers.h"
#include "l2c/io/checkpoint.h"
#include "l2c/io/file.h"
#include "l2c/io/json_text.h"
#include "l2c/models/autoencoder.h"
#include "l2c/models/weights.h"

namespace l2c {

namespace {

namespace fs = std::filesystem;

// What attention was called in files of 2022.
std::string current_name(std::string name) {
  constexpr std::array old_names{std::pair{".query.", ".to_q."}, std::pair{".key.", ".to_k."},
                                 std::pair{".value.", ".to_v."},
                                 std::pair{".proj_attn.", ".to_out.0."}};
  if (name.find(".attentions.") == std::string::npos) return name;
  for (const auto& [old, current] : old_names) {
    const auto at = name.find(old);
    if (at != std::string::npos) return name.replace(at, std::string_view(old).size(), current);
  }
  return name;
}

// The decoder's part, under today's names.
io::TensorMap decoder_tensors(const io::Checkpoint& checkpoint) {
  io::TensorMap tensors;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    if (name.starts_with("encoder.") || name.starts_with("quant_conv.")) continue;
    tensors[current_name(name)] = tensor;
  }
  return tensors;
}

// Beside its weights, whose shapes say the rest.
std::string what_it_does(const AutoencoderConfig& config) {
  return fmt::format("scaling {}, groups {}", config.scaling_factor, config.norm_num_groups);
}

}  // namespace

std::shared_ptr<const Autoencoder> Autoencoder::load(const fs::path& folder, at::Device device) {
  const c10::InferenceMode no_inference(false);
  const at::NoGradGuard no_grad;
  const fs::path path = folder / "config.json";
  AutoencoderConfig config =
      autoencoder_config_from_json(io::read_text_file(path, io::most_json_bytes), path.string());
  const auto checkpoint = io::open_checkpoint(find_diffusers_weights(folder));
  const StoredWeights stored(decoder_tensors(checkpoint), checkpoint.path.string());
  const ShapeMap shapes = decoder_shapes(config);
  check_weights(stored, shapes, "the decoder of its config.json",
                [] { return std::string("use the config.json that belongs to the file"); });
  io::TensorMap weights;
  for (const auto& [name, shape] : shapes) {
    weights[name] = at::empty(shape, at::kFloat);
    weights[name].copy_(stored.tensor(name));
  }
  auto fingerprint = l2c::fingerprint(weights, what_it_does(config));
  for (auto& [name, tensor] : weights) tensor = tensor.to(device);
  return std::shared_ptr<const Autoencoder>(
      new Autoencoder(std::move(config), std::move(weights), std::move(fingerprint)));
}

}  // namespace l2c
