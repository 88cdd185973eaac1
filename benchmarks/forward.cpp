// Times forward passes of a model, nothing else, and prints one JSON object: what
// benchmarks/compare sets against PyTorch.
#include <l2c/torch/l2c.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "measure.h"

namespace {

struct Options {
  std::string model = "assets/fashion-mnist/dit.safetensors";
  std::string init;
  std::string arch;
  std::string inputs;
  std::string output;
  std::string dtype = "bf16";
  int batch = 2;
  int threads = 1;
  double seconds = 3;
};

struct Inputs {
  at::Tensor x, t, y;
};

Inputs make_inputs(const Options& options, const l2c::DenoiserInfo& info) {
  if (!options.inputs.empty()) {
    auto tensors = l2c::io::open_checkpoint(options.inputs).tensors;
    return {tensors.at("x").clone(), tensors.at("t").clone(), tensors.at("y").clone()};
  }
  at::manual_seed(0);
  return {at::randn({options.batch, info.in_channels, info.input_size, info.input_size}),
          at::full({options.batch}, 500, at::kFloat),
          at::arange(options.batch, at::kLong).remainder(info.num_classes)};
}

std::shared_ptr<const l2c::DiT> open_model(const Options& options) {
  const auto dtype = options.dtype == "bf16" ? at::kBFloat16 : at::kFloat;
  if (options.init.empty()) {
    const auto checkpoint = l2c::io::open_checkpoint(options.model);
    const auto config = l2c::resolve_dit_config(options.arch, checkpoint);
    return l2c::DiT::load(config, checkpoint, at::kCPU, dtype);
  }
  const auto config = l2c::dit_config(options.arch);
  const auto seed = l2c::parse_weight_seed(options.init);
  return l2c::DiT::load(config, l2c::seeded_dit_weights(config, seed), at::kCPU, dtype);
}

nlohmann::ordered_json measure(const Options& options) {
  l2c::set_threads(options.threads);
  const auto model = open_model(options);
  const c10::InferenceMode inference;
  const Inputs in = make_inputs(options, model->info());
  l2c::ComputeAllRunner runner;
  at::Tensor output;
  for (int i = 0; i < 3; ++i) output = model->forward(in.x, in.t, in.y, runner);
  const auto measured = l2c::benchmarks::measure(
      options.seconds, 5, [&] { output = model->forward(in.x, in.t, in.y, runner); });
  if (!options.output.empty()) {
    l2c::io::write_safetensors(options.output, {{"output", output.clone()}});
  }
  const double wall = l2c::quantile(measured.wall, 0.5);
  const double gflop = 2e-9 * model->cost().total().truth * static_cast<double>(in.x.size(0));
  return {{"cpu_seconds_per_forward", l2c::quantile(measured.cpu, 0.5)},
          {"wall_seconds_per_forward", wall},
          {"gflop_per_second", gflop / wall},
          {"isa", l2c::ops::name(l2c::ops::cpu_isa())},
          {"dtype", options.dtype},
          {"batch", in.x.size(0)},
          {"threads", options.threads},
          {"samples", measured.cpu}};
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Times forward passes and prints one JSON object."};
  auto* model = app.add_option("--model", options.model)->capture_default_str();
  auto* arch = app.add_option("--arch", options.arch,
                              "\"DiT-XL/2\", ... or a JSON file (default: the model file's own)");
  app.add_option("--init", options.init, "\"seeded:S\" instead of a model: weights from a seed")
      ->excludes(model)
      ->needs(arch);
  app.add_option("--inputs", options.inputs, "x, t and y (safetensors); default: seeded noise");
  app.add_option("--output", options.output, "where to keep the last output (safetensors)");
  app.add_option("--dtype", options.dtype)
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
  app.add_option("--batch", options.batch, "rows, without --inputs")->capture_default_str();
  app.add_option("--threads", options.threads)->capture_default_str();
  app.add_option("--seconds", options.seconds, "to measure for")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    std::cout << measure(options).dump() << "\n";
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}
