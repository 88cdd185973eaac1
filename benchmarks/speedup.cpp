// What the cache really saves: full and cached runs in turn, medians, realised over ideal.
#include <fmt/format.h>
#include <l2c/l2c.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <vector>

namespace {

struct Options {
  std::string model = "assets/fashion-mnist/dit.safetensors";
  std::string router = "assets/fashion-mnist/router20_fast.safetensors";
  double threshold = 0.1;
  int steps = 20;
  int batch = 16;
  double cfg_scale = 1.5;
  int repeat = 9;
  int threads = 1;
  bool full_only = false;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

l2c::Request make_request(const Options& options, int classes) {
  l2c::Request request;
  for (int i = 0; i < options.batch; ++i) request.labels.push_back(i % classes);
  request.steps = options.steps;
  request.guidance = options.cfg_scale;
  request.batch_size = options.batch;
  return request;
}

nlohmann::ordered_json measure(const Options& options) {
  l2c::set_threads(options.threads);
  const auto pipeline = l2c::Pipeline::load(options.model);
  const auto full = make_request(options, pipeline.summary().num_classes);
  auto cached = full;
  cached.cache =
      std::make_shared<l2c::LearnedRouter>(l2c::Router::load(options.router), options.threshold);
  std::vector<double> full_seconds;
  std::vector<double> cached_seconds;
  std::vector<double> ratios;
  double ideal = 1;
  for (int i = -1; i < options.repeat; ++i) {  // round -1 warms up
    const double a = pipeline.sample(full).stats.denoise_seconds;
    double b = 0;
    if (!options.full_only) {
      const auto stats = pipeline.sample(cached).stats;
      b = stats.denoise_seconds;
      ideal = stats.ideal_speedup;
    }
    if (i < 0) continue;
    full_seconds.push_back(a);
    cached_seconds.push_back(b);
    ratios.push_back(a / b);
  }
  nlohmann::ordered_json json{
      {"batch", options.batch},       {"steps", options.steps},
      {"threads", options.threads},   {"repeat", options.repeat},
      {"full_seconds", full_seconds}, {"full_median", median(full_seconds)}};
  if (!options.full_only) {
    json["router"] = options.router;
    json["threshold"] = options.threshold;
    json["cached_seconds"] = cached_seconds;
    json["cached_median"] = median(cached_seconds);
    json["realised_speedup"] = median(ratios);
    json["ideal_speedup"] = ideal;
    json["realised_over_ideal"] = median(ratios) / ideal;
  }
  return json;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Times full and cached runs in turn and prints one JSON object."};
  app.add_option("--model", options.model)->capture_default_str();
  app.add_option("--router", options.router)->capture_default_str();
  app.add_option("--threshold", options.threshold)->capture_default_str();
  app.add_option("--steps", options.steps)->capture_default_str();
  app.add_option("--batch", options.batch)->capture_default_str();
  app.add_option("--cfg-scale", options.cfg_scale)->capture_default_str();
  app.add_option("--repeat", options.repeat)->capture_default_str();
  app.add_option("--threads", options.threads)->capture_default_str();
  app.add_flag("--full-only", options.full_only, "only the uncached runs");
  CLI11_PARSE(app, argc, argv);
  try {
    std::cout << measure(options).dump(2) << "\n";
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}
