// Options that several subcommands share.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "l2c/cache/policies.h"
#include "l2c/cache/recall.h"
#include "l2c/cache/router.h"
#include "l2c/sampling/pipeline.h"
#include "l2c/sampling/request.h"

namespace l2c::cli {

// What to sample from.
struct PipelineOptions {
  std::string model;
  std::string init;
  LoadOptions load{.vae = "none"};  // --dtype and --vae are not among the options below
};
// --model, --init, --arch, --weights and --device.
void add_pipeline_options(CLI::App& app, PipelineOptions& options);
// Before any work. Throws InputError.
void check_pipeline(const PipelineOptions& options);
Pipeline open_pipeline(const PipelineOptions& options);

// What to reuse.
struct CacheOptions {
  std::string router;
  std::optional<double> threshold;
  std::optional<int> every;
  std::string policy;
  std::string recall;  // empty: the one the router was trained with, else the latest value
};
void add_cache_options(CLI::App& app, CacheOptions& options);

struct Cache {
  std::shared_ptr<const CachePolicy> policy;  // null: nothing was asked for
  std::string identity = "compute all";       // as PolicySpec has it
  std::string text;  // for parse_policy_spec(); of a router, without its file: empty
  std::optional<Router> router;
  double threshold = 0;                  // of the router; meaningless without one
  std::optional<int> made_for_steps;     // the only number of steps that the policy fits
  std::shared_ptr<const Recall> recall;  // null: of a policy, within its text
  std::string recall_text;               // of a router, as parse_recall() takes it
};
// Loads the router or the policy, if any. A router's threshold is the option's, else the router
// file's own, else 0.1 (the paper's for DiT at 256 x 256).
Cache make_cache(const CacheOptions& options);

// The router with this threshold, and with the cache's recall.
std::shared_ptr<const CachePolicy> router_policy(const Cache& cache, double threshold);

// How to step.
struct StepOptions {
  std::string sampler = "ddim";
  std::optional<int> steps;
  std::string spacing;
};
// `folder`: the sampler may be the scheduler of the model's folder.
void add_step_options(CLI::App& app, StepOptions& options, bool folder = false);
SamplerKind sampler_kind(const std::string& name);
// Without --steps and --spacing, a router or schedule says how many steps it is for.
std::optional<int> steps_for(const StepOptions& options, const Cache& cache);

// How to guide, and the noise.
struct NoiseOptions {
  double eta = 0;
  double cfg_scale = 4;
  std::vector<double> cfg_range;  // two timesteps; empty: everywhere
  std::string cfg_channels = "3";
  std::uint64_t seed = 0;
};
void add_noise_options(CLI::App& app, NoiseOptions& options);
// --cfg-range, where guidance may come and go.
void add_range_option(CLI::App& app, NoiseOptions& options);

// Everything of a request but labels, batch and initial noise.
Request make_request(const StepOptions& step, const NoiseOptions& noise, const Cache& cache);

// As a shell takes it for one word.
std::string quoted(const std::string& word);
// The command with the options that were given, as a shell takes it.
std::string given_command(const CLI::App& command);

}  // namespace l2c::cli
