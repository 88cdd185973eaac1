// l2c validate: how well a model predicts noise on images of a data set.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <cmath>
#include <memory>
#include <optional>
#include <string>

#include "commands.h"
#include "console.h"
#include "inputs.h"
#include "interrupt.h"
#include "l2c/core/build_info.h"
#include "l2c/training/validation.h"
#include "report.h"

namespace l2c::cli {

namespace {

struct ValidateOptions {
  ModelOptions model;
  std::string data;
  std::string split = "test or all";
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
  const auto model = load_model(options.model);
  const auto& info = model->info();
  const auto data = open_model_data(options.data, options.split, info.input_size, info.in_channels);
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
  add_model_options(*command, options->model);
  command->add_option("--data", options->data, "as for train-dit")->required();
  command->add_option("--split", options->split,
                      "of IDX files: train or test (default: test; all of other data)");
  command->add_option("--images", options->validation.images, "the first so many; 0: all")
      ->capture_default_str();
  command->add_option("--seed", options->validation.seed, "of timesteps and noise")
      ->capture_default_str();
  command->add_option("--batch-size", options->validation.batch_size, "images at a time")
      ->capture_default_str();
  command->add_option("--device", options->model.device, "cpu, cuda or cuda:N")
      ->capture_default_str();
  command->add_option("--threads", options->threads, "CPU threads (default: all cores)");
  command->add_flag("--json", options->json, "numbers for programs");
  command->footer(
      "Example:\n"
      "  l2c validate --model run/model.safetensors --data /usr/share/datasets/fashion-mnist");
  command->callback([options] { validate(*options); });
}

}  // namespace l2c::cli
