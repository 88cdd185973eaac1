// Models and data that several subcommands open alike.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <string>

#include "l2c/datasets/dataset.h"
#include "l2c/models/dit.h"

namespace l2c::cli {

struct ModelOptions {
  std::string model;
  std::string arch;
  std::string weights = "ema";
  std::string device = "cpu";
  std::string dtype = "fp32";  // or bf16: of the branches
};
// --model, --arch and --weights.
void add_model_options(CLI::App& app, ModelOptions& options);
std::shared_ptr<const DiT> load_model(const ModelOptions& options);

// As a model with such inputs takes them: a folder's images are cropped, resized and turned gray or
// coloured.
std::shared_ptr<const DataSet> open_model_data(const std::string& path, const std::string& split,
                                               int input_size, int in_channels);

}  // namespace l2c::cli
