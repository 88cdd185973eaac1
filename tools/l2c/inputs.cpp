#include "inputs.h"

#include <CLI/Validators.hpp>

#include "l2c/core/device.h"
#include "l2c/io/checkpoint.h"
#include "l2c/models/dit_source.h"

namespace l2c::cli {

void add_model_options(CLI::App& app, ModelOptions& options) {
  app.add_option(
         "--model", options.model,
         "checkpoint (.safetensors, .pt, .pth), or the folder of a Diffusers DiT pipeline or "
         "transformer")
      ->required();
  app.add_option("--arch", options.arch,
                 "\"DiT-XL/2\", ... or a JSON file (default: the model file's own metadata, or "
                 "Diffusers' config.json)");
  app.add_option("--weights", options.weights, "of a training checkpoint: ema or model")
      ->check(CLI::IsMember({"ema", "model"}))
      ->capture_default_str();
}

std::shared_ptr<const DiT> load_model(const ModelOptions& options,
                                      std::optional<at::ScalarType> products) {
  const auto source = open_dit(options.model, options.arch,
                               options.weights == "model" ? io::Weights::model : io::Weights::ema);
  return DiT::load(source.config, *source.weights, parse_device(options.device), products);
}

std::shared_ptr<const DataSet> open_model_data(const std::string& path, const std::string& split,
                                               int input_size, int in_channels) {
  // Latents have other numbers of channels: they come from files that say how many.
  const bool pixels = in_channels == 1 || in_channels == 3;
  return open_data(
      path, {.split = split, .image_size = input_size, .channels = pixels ? in_channels : 0});
}

}  // namespace l2c::cli
