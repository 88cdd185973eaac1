// l2c validate: how well a model predicts noise on images of a data set.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <cmath>
#include <memory>

#include "commands.h"
#include "console.h"
#include "interrupt.h"
#include "l2c/core/build_info.h"
#include "l2c/core/device.h"
#include "l2c/datasets/dataset.h"
#include "l2c/models/dit.h"
#include "l2c/training/validation.h"
#include "report.h"

namespace l2c::cli {

namespace {

struct ValidateOptions {
  std::string model;
  std::string arch;
  std::string weights = "ema";
  std::string data;
  std::string split = "test or all";
  std::string device = "cpu";
  std::optional<int> threads;
  bool json = false;
  ValidationOptions validation;
};

nlohmann::ordered_json to_json(const ValidationResult& result, const Denoiser& model,
                               const DataSet& data, std::uint64_t seed) {
  nlohmann::ordered_json json{{"images", result.images},
                              {"seed", seed},
                              {"mse", result.mse},
                              {"vb", result.vb},
                              {"mse_by_timestep", result.mse_by_timestep},
                              {"model", model.info().fingerprint},
                              {"data", data.info().fingerprint}};
  return json;
}

void print(const ValidationResult& result) {
  say(
      fmt::format("{} images, one timestep each\n  noise prediction, mean square error  {:.5f}\n"
                  "  variational term, bits               {:.5f}",
                  result.images, result.mse, result.vb));
  for (std::size_t i = 0; i < result.mse_by_timestep.size(); ++i) {
    if (std::isnan(result.mse_by_timestep[i])) continue;
    say(fmt::format("  timesteps {:3} to {:3}                 {:.5f}", 100 * i, 100 * i + 99,
                    result.mse_by_timestep[i]));
  }
}

void validate(const ValidateOptions& options) {
  const Interrupt interrupt;
  if (options.threads) set_threads(*options.threads);
  const auto weights = options.weights == "model" ? io::Weights::model : io::Weights::ema;
  const auto checkpoint = io::open_checkpoint(options.model, weights);
  const auto config = resolve_dit_config(options.arch, checkpoint);
  const auto model = DiT::load(config, checkpoint, parse_device(options.device));
  const bool pixels = config.in_channels == 1 || config.in_channels == 3;
  const auto data = open_data(options.data, {.split = options.split,
                                             .image_size = config.input_size,
                                             .channels = pixels ? config.in_channels : 0});
  const auto result = l2c::validate(*model, *data, options.validation, {}, interrupt.token());
  if (options.json) {
    say(json_text(to_json(result, *model, *data, options.validation.seed)));
  } else {
    print(result);
  }
}

}  // namespace

void add_validate(CLI::App& app) {
  auto* command = app.add_subcommand(
      "validate", "Measure how well a model predicts noise on images of a data set.");
  auto options = std::make_shared<ValidateOptions>();
  command->add_option("--model", options->model, "checkpoint")->required();
  command->add_option("--arch", options->arch,
                      "\"DiT-XL/2\", ... or a JSON file (default: what the file says)");
  command->add_option("--weights", options->weights, "of a training checkpoint: ema or model")
      ->check(CLI::IsMember({"ema", "model"}))
      ->capture_default_str();
  command->add_option("--data", options->data, "as for train-dit")->required();
  command->add_option("--split", options->split,
                      "of IDX files: train or test (default: test; all of other data)");
  command->add_option("--images", options->validation.images, "the first so many; 0: all")
      ->capture_default_str();
  command->add_option("--seed", options->validation.seed, "of timesteps and noise")
      ->capture_default_str();
  command->add_option("--batch-size", options->validation.batch_size, "images at a time")
      ->capture_default_str();
  command->add_option("--device", options->device, "cpu, cuda or cuda:N")->capture_default_str();
  command->add_option("--threads", options->threads, "CPU threads (default: all cores)");
  command->add_flag("--json", options->json, "numbers for programs");
  command->footer(
      "Example:\n"
      "  l2c validate --model run/model.safetensors --data /usr/share/datasets/fashion-mnist");
  command->callback([options] { validate(*options); });
}

}  // namespace l2c::cli
