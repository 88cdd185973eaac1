#include "arguments.h"

#include <CLI/Validators.hpp>

#include "l2c/core/error.h"

namespace l2c::cli {

namespace {
constexpr double paper_threshold = 0.1;
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

}  // namespace l2c::cli
