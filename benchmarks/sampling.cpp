// Times whole runs of sampling, as `l2c sample` makes them, and prints one JSON object: what
// benchmarks/compare sets against PyTorch.
#include <l2c/torch/l2c.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "measure.h"

namespace {

struct Options {
  std::string model = "assets/fashion-mnist/dit.safetensors";
  std::string router;
  std::string noise;
  std::string output;
  std::string dtype = "fp32";
  std::optional<double> threshold{};
  double cfg_scale = 1.5;
  int steps = 20;
  int threads = 1;
  double seconds = 3;
};

// One image for each row of the noise, labels 0, 1, ... in turn, all in one micro-batch.
l2c::Request make_request(const Options& options, int classes) {
  l2c::Request request;
  request.initial_noise = l2c::load_latents(options.noise, "x");
  const int images = static_cast<int>(request.initial_noise->images());
  for (int i = 0; i < images; ++i) request.labels.push_back(i % classes);
  request.steps = options.steps;
  request.guidance = options.cfg_scale;
  request.batch_size = images;
  if (!options.router.empty()) {
    auto router = l2c::Router::load(options.router);
    const double threshold = options.threshold.value_or(router.info().threshold.value_or(0.1));
    request.cache = std::make_shared<l2c::LearnedRouter>(std::move(router), threshold);
  }
  return request;
}

nlohmann::ordered_json measure(const Options& options) {
  l2c::set_threads(options.threads);
  l2c::LoadOptions load;
  load.dtype = options.dtype;
  const auto pipeline = l2c::Pipeline::load(options.model, load);
  const auto request = make_request(options, pipeline.summary().num_classes);
  l2c::Result result = pipeline.sample(request);  // warms up
  const auto measured =
      l2c::benchmarks::measure(options.seconds, 1, [&] { result = pipeline.sample(request); });
  if (!options.output.empty()) l2c::save_latents(options.output, result.latents);
  return {{"cpu_seconds_per_run", l2c::quantile(measured.cpu, 0.5)},
          {"wall_seconds_per_run", l2c::quantile(measured.wall, 0.5)},
          {"ideal_speedup", result.stats.ideal_speedup},
          {"computed", result.stats.computed},
          {"reused", result.stats.reused},
          {"isa", l2c::ops::name(l2c::ops::cpu_isa())},
          {"dtype", options.dtype},
          {"images", result.stats.images},
          {"steps", result.stats.steps},
          {"threads", options.threads},
          {"samples", measured.cpu}};
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Times runs of sampling and prints one JSON object."};
  app.add_option("--model", options.model)->capture_default_str();
  app.add_option("--router", options.router, "default: everything is computed");
  app.add_option("--threshold", options.threshold, "default: the router's own, else 0.1");
  app.add_option("--noise", options.noise, "[images, C, S, S], \"x\" of a safetensors file")
      ->required();
  app.add_option("--output", options.output, "where to keep the last latents (safetensors)");
  app.add_option("--dtype", options.dtype)
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
  app.add_option("--cfg-scale", options.cfg_scale)->capture_default_str();
  app.add_option("--steps", options.steps)->capture_default_str();
  app.add_option("--threads", options.threads)->capture_default_str();
  app.add_option("--seconds", options.seconds, "to measure for; at least one run")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    std::cout << measure(options).dump() << "\n";
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}
