// Options that several subcommands share.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <optional>
#include <string>

#include "l2c/cache/policies.h"
#include "l2c/cache/router.h"
#include "l2c/sampling/request.h"

namespace l2c::cli {

// What to reuse.
struct CacheOptions {
  std::string router;
  std::optional<double> threshold;
  std::optional<int> every;
};
void add_cache_options(CLI::App& app, CacheOptions& options);

struct Cache {
  std::shared_ptr<const CachePolicy> policy;  // null: nothing was asked for
  std::optional<Router> router;
  double threshold = 0;  // of the router; meaningless without one
};
// Loads the router, if any. The threshold is the option's, else the router file's own, else 0.1
// (the paper's for DiT at 256 x 256).
Cache make_cache(const CacheOptions& options);

// How to step.
struct StepOptions {
  std::string sampler = "ddim";
  std::optional<int> steps;
  std::string spacing;
};
void add_step_options(CLI::App& app, StepOptions& options);
SamplerKind sampler_kind(const std::string& name);
// Without --steps and --spacing, a router says how many steps it is for.
std::optional<int> steps_for(const StepOptions& options, const Cache& cache);

}  // namespace l2c::cli
