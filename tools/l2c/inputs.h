// Models and data that several subcommands open alike.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <optional>
#include <string>

#include "l2c/datasets/dataset.h"
#include "l2c/models/dit.h"

namespace l2c::cli {

struct ModelOptions {
  std::string model;
  std::string arch;
  std::string weights = "ema";
  std::string device = "cpu";
};
// --model, --arch and --weights.
void add_model_options(CLI::App& app, ModelOptions& options);
// With `products`, prepared for inference in that type; without, able to give gradients.
std::shared_ptr<const DiT> load_model(const ModelOptions& options,
                                      std::optional<at::ScalarType> products = {});

// As a model with such inputs takes them: a folder's images are cropped, resized and turned gray or
// coloured.
std::shared_ptr<const DataSet> open_model_data(const std::string& path, const std::string& split,
                                               int input_size, int in_channels);

}  // namespace l2c::cli
