#include "arguments.h"

#include <fmt/format.h>

#include <CLI/Validators.hpp>
#include <set>
#include <string_view>

#include "l2c/core/error.h"
#include "l2c/io/file.h"
#include "l2c/models/weight_seed.h"

namespace l2c::cli {

namespace {
constexpr double paper_threshold = 0.1;
}

void add_pipeline_options(CLI::App& app, PipelineOptions& options) {
  auto* model = app.add_option("--model", options.model, "checkpoint: .safetensors, .pt or .pth");
  auto* init =
      app.add_option("--init", options.init,
                     "\"seeded:S\" instead of a model: the weights of --arch made from the "
                     "seed S, to measure a model whose weights are not at hand");
  init->excludes(model);
  app.add_option("--arch", options.load.architecture,
                 "\"DiT-XL/2\", \"DiT-S/8-512\", ... or a JSON file with the constructor's fields "
                 "(default: the model file's own metadata)");
  app.add_option("--weights", options.load.weights, "of a training checkpoint: ema or model")
      ->check(CLI::IsMember({"ema", "model"}))
      ->excludes(init)
      ->capture_default_str();
  app.add_option("--device", options.load.device, "cpu or cuda:N")->capture_default_str();
}

void check_pipeline(const PipelineOptions& options) {
  if (options.model.empty() && options.init.empty()) {
    throw InputError(
        "no model: give --model FILE, or --init seeded:S and --arch for weights made from a seed");
  }
  if (options.init.empty()) return;
  (void)parse_weight_seed(options.init);
  if (options.load.architecture.empty()) {
    throw InputError(fmt::format("--init {} needs --arch: what to make weights for", options.init));
  }
}

Pipeline open_pipeline(const PipelineOptions& options) {
  if (options.init.empty()) return Pipeline::load(options.model, options.load);
  return Pipeline::seeded(options.load.architecture, parse_weight_seed(options.init), options.load);
}

void add_cache_options(CLI::App& app, CacheOptions& options) {
  auto* router = app.add_option("--router", options.router,
                                "learned router: a published .pt/.pth or our .safetensors");
  app.add_option("--threshold", options.threshold,
                 "reuse a branch whose score is not above it, 0 to 1 (default: the router's own, "
                 "else 0.1)")
      ->needs(router);
  app.add_option("--cache-every", options.every,
                 "instead of a router: compute everything every N-th step and reuse it between")
      ->excludes(router);
}

Cache make_cache(const CacheOptions& options) {
  Cache cache;
  if (options.every) cache.policy = std::make_shared<EveryN>(*options.every);
  if (options.router.empty()) return cache;
  cache.router = Router::load(options.router);
  cache.threshold =
      options.threshold.value_or(cache.router->info().threshold.value_or(paper_threshold));
  cache.policy = std::make_shared<LearnedRouter>(*cache.router, cache.threshold);
  return cache;
}

void add_step_options(CLI::App& app, StepOptions& options) {
  app.add_option("--sampler", options.sampler, "ddim or ddpm")
      ->check(CLI::IsMember({"ddim", "ddpm"}))
      ->capture_default_str();
  app.add_option("--steps", options.steps,
                 "denoising steps, 1 to 1000 (default: what the router is for, else 20)");
  app.add_option("--spacing", options.spacing,
                 "official spacing string, \"ddim50\" or \"10,10\" (default: the number of steps)");
}

SamplerKind sampler_kind(const std::string& name) {
  return name == "ddpm" ? SamplerKind::ddpm : SamplerKind::ddim;
}

std::optional<int> steps_for(const StepOptions& options, const Cache& cache) {
  if (options.steps || !options.spacing.empty() || !cache.router) return options.steps;
  return cache.router->rows();
}

void add_noise_options(CLI::App& app, NoiseOptions& options) {
  app.add_option("--eta", options.eta, "DDIM's eta; 0 is deterministic")->capture_default_str();
  app.add_option("--cfg-scale", options.cfg_scale, "classifier-free guidance; 1 switches it off")
      ->capture_default_str();
  app.add_option("--cfg-channels", options.cfg_channels,
                 "guided channels: 3 (official DiT) or all (Diffusers)")
      ->check(CLI::IsMember({"3", "all"}))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "image i's noise depends on seed and i alone")
      ->capture_default_str();
}

Request make_request(const StepOptions& step, const NoiseOptions& noise, const Cache& cache) {
  Request request;
  request.seed = noise.seed;
  request.steps = steps_for(step, cache);
  request.spacing = step.spacing;
  request.sampler = sampler_kind(step.sampler);
  request.eta = noise.eta;
  request.guidance = noise.cfg_scale;
  request.guidance_channels =
      noise.cfg_channels == "all" ? GuidanceChannels::all : GuidanceChannels::three;
  request.cache = cache.policy;
  return request;
}

void check_outputs(const std::vector<std::string>& paths) {
  std::set<std::string> seen;
  for (const auto& path : paths) {
    if (path.empty()) continue;
    if (!seen.insert(path).second) {
      throw InputError(fmt::format("two outputs have the same path {}: give each its own", path));
    }
    io::check_writable(path);
  }
}

std::string quoted(const std::string& word) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%";
  if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) return word;
  std::string text = "'";
  for (const char letter : word) {
    if (letter == '\'') {
      text += "'\\''";
    } else {
      text += letter;
    }
  }
  return text + "'";
}

std::string given_command(const CLI::App& command) {
  auto text = fmt::format("l2c {}", command.get_name());
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() == 0) continue;
    text += fmt::format(" {}", option->get_name());
    if (option->get_items_expected_max() == 0) continue;  // a flag
    for (const auto& word : option->results()) text += fmt::format(" {}", quoted(word));
  }
  return text;
}

}  // namespace l2c::cli
