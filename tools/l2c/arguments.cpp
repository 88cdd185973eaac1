#include "arguments.h"

#include <fmt/format.h>

#include <CLI/Validators.hpp>
#include <set>
#include <string_view>
#include <utility>

#include "l2c/cache/recalling.h"
#include "l2c/core/error.h"
#include "l2c/evaluation/policy_spec.h"
#include "l2c/io/file.h"
#include "l2c/models/weight_seed.h"

namespace l2c::cli {

namespace {

// What is reused is the recall's. Throws InputError when there is nothing to reuse.
std::shared_ptr<const CachePolicy> recalled(std::shared_ptr<const CachePolicy> policy,
                                            const std::shared_ptr<const Recall>& recall) {
  if (recall->depth() == 1) return policy;
  if (!policy) {
    throw InputError(fmt::format(
        "--recall {} needs something that reuses: give --router, --cache-every or --policy",
        recall->name()));
  }
  return std::make_shared<Recalling>(std::move(policy), recall);
}

// `policy` as parse_policy_spec() takes it, with the recall, if any, at its end.
void make_policy(Cache& cache, const std::string& policy, const std::string& recall) {
  // Its own mistakes before those of the whole text.
  if (!recall.empty()) (void)parse_recall(recall);
  cache.text = recall.empty() ? policy : fmt::format("{}+{}", policy, recall);
  auto spec = parse_policy_spec(cache.text);
  if (spec.steps) {
    throw InputError(fmt::format("--policy {}: give --steps {} instead", policy, *spec.steps));
  }
  cache.made_for_steps = spec.made_for_steps;
  cache.identity = spec.identity;
  cache.policy = std::move(spec.policy);
}

void make_router(Cache& cache, const CacheOptions& options) {
  cache.router = Router::load(options.router);
  cache.threshold = options.threshold.value_or(cache.router->recommended_threshold());
  cache.recall_text = options.recall.empty() ? recall_of(cache.router->info()) : options.recall;
  cache.recall = parse_recall(cache.recall_text);
  cache.made_for_steps = cache.router->rows();
  cache.policy = router_policy(cache, cache.threshold);
  cache.identity =
      fmt::format("router {}, threshold {}", cache.router->fingerprint(), cache.threshold);
  if (cache.recall->depth() != 1) cache.identity += fmt::format(", {}", cache.recall->identity());
}

}  // namespace

void add_pipeline_options(CLI::App& app, PipelineOptions& options) {
  auto* model = app.add_option("--model", options.model,
                               "checkpoint (.safetensors, .pt, .pth), or the folder of a Diffusers "
                               "DiT pipeline or transformer");
  auto* init =
      app.add_option("--init", options.init,
                     "\"seeded:S\" instead of a model: the weights of --arch made from the "
                     "seed S, to measure a model whose weights are not at hand");
  init->excludes(model);
  app.add_option("--arch", options.load.architecture,
                 "\"DiT-XL/2\", \"DiT-S/8-512\", ... or a JSON file with the constructor's fields "
                 "(default: the model file's own metadata, or Diffusers' config.json)");
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
  auto* every =
      app.add_option("--cache-every", options.every,
                     "instead of a router: compute everything every N-th step and reuse it between")
          ->excludes(router);
  app.add_option("--policy", options.policy, "instead of both: " + policy_forms())
      ->excludes(router)
      ->excludes(every);
  app.add_option(
      "--recall", options.recall,
      "what a reused branch gives: latest, the value as it was, or a forecast from several, "
      "taylor:ORDER, chebyshev:ORDER or fitted:FILE@DEPTH (default: what the router was "
      "trained with, else latest)");
}

Cache make_cache(const CacheOptions& options) {
  Cache cache;
  if (!options.policy.empty()) {
    make_policy(cache, options.policy, options.recall);
  } else if (options.every) {
    make_policy(cache, fmt::format("every:{}", *options.every), options.recall);
  } else if (!options.router.empty()) {
    make_router(cache, options);
  } else if (!options.recall.empty()) {
    // A mistake, but for one that changes nothing.
    cache.policy = recalled(nullptr, parse_recall(options.recall));
  }
  return cache;
}

std::shared_ptr<const CachePolicy> router_policy(const Cache& cache, double threshold) {
  return recalled(std::make_shared<LearnedRouter>(*cache.router, threshold), cache.recall);
}

void add_step_options(CLI::App& app, StepOptions& options, bool folder) {
  std::vector<std::string> samplers{"ddim", "ddpm"};
  if (folder) samplers.emplace_back("folder");
  app.add_option("--sampler", options.sampler,
                 folder
                     ? "ddim or ddpm (official), or folder: the scheduler of a Diffusers folder, "
                       "whose timesteps are others"
                     : "ddim or ddpm")
      ->check(CLI::IsMember(samplers))
      ->capture_default_str();
  app.add_option(
      "--steps", options.steps,
      "denoising steps, 1 to 1000 (default: what the router or schedule is for, else 20)");
  app.add_option("--spacing", options.spacing,
                 "official spacing string, \"ddim50\" or \"10,10\" (default: the number of steps)");
}

SamplerKind sampler_kind(const std::string& name) {
  if (name == "folder") return SamplerKind::folder;
  return name == "ddpm" ? SamplerKind::ddpm : SamplerKind::ddim;
}

std::optional<int> steps_for(const StepOptions& options, const Cache& cache) {
  if (options.steps || !options.spacing.empty()) return options.steps;
  return cache.made_for_steps;
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

void add_range_option(CLI::App& app, NoiseOptions& options) {
  app.add_option("--cfg-range", options.cfg_range,
                 "LOW,HIGH: guide only at timesteps LOW <= t < HIGH of 0 to 1000; the others take "
                 "half as long (default: everywhere)")
      ->delimiter(',')
      ->expected(2);
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
  if (!noise.cfg_range.empty()) {
    request.guidance_range = {.low = noise.cfg_range[0], .high = noise.cfg_range[1]};
  }
  request.cache = cache.policy;
  return request;
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
