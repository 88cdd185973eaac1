// l2c plan: what a router will save, before any weight is loaded.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <nlohmann/json.hpp>
#include <ostream>

#include "arguments.h"
#include "commands.h"
#include "console.h"
#include "heat_map.h"
#include "l2c/cache/pricing.h"
#include "l2c/core/error.h"
#include "l2c/models/dit_config.h"
#include "l2c/sampling/planning.h"
#include "report.h"

namespace l2c::cli {

namespace {

struct PlanOptions {
  std::string arch;
  CacheOptions cache;
  StepOptions step;
  std::optional<double> target_speedup;
  bool json = false;
};

// A router, a threshold and what they give.
struct Planned {
  Cache cache;
  RunShape shape;
  CachePlan plan;
  PlanCost cost;
};

Planned make_plan(const PlanOptions& options) {
  const auto config = dit_config(options.arch);
  const auto forward = forward_cost(config);
  Planned planned{.cache = make_cache(options.cache), .shape = {}, .plan = {}, .cost = {}};
  if (!planned.cache.policy)
    throw InputError("nothing to plan: give --router, --cache-every or --policy");
  planned.shape = plan_shape(config.depth, options.step.spacing,
                             steps_for(options.step, planned.cache), options.step.sampler);
  if (options.target_speedup) {
    if (!planned.cache.router) throw InputError("--target-speedup needs a --router to choose from");
    planned.cache.threshold = threshold_for_speedup(*planned.cache.router, planned.shape, forward,
                                                    *options.target_speedup);
    planned.cache.policy = router_policy(planned.cache, planned.cache.threshold);
  }
  auto plan = planned.cache.policy->plan(planned.shape);
  if (!plan) {
    throw InputError(
        fmt::format("{} decides while it samples: there is nothing to plan; sample --compare shows "
                    "what it saves",
                    planned.cache.policy->name()));
  }
  planned.plan = std::move(*plan);
  planned.cost = price(planned.plan, forward);
  return planned;
}

nlohmann::ordered_json plan_json(const Planned& planned) {
  const PlanCost& cost = planned.cost;
  constexpr double tera = 1e12;
  nlohmann::ordered_json json{{"policy", planned.cache.policy->name()},
                              {"steps", planned.plan.evaluations()},
                              {"spacing", planned.shape.spacing},
                              {"computed", cost.computed},
                              {"reused", cost.reused},
                              {"cache_step_branches", cost.cache_step_branches},
                              {"paper_tmacs_full", cost.paper_macs_full / tera},
                              {"paper_tmacs_plan", cost.paper_macs_plan / tera},
                              {"true_tmacs_full", cost.true_macs_full / tera},
                              {"true_tmacs_plan", cost.true_macs_plan / tera},
                              {"ideal_speedup", cost.ideal_speedup},
                              {"cache_bytes", cost.cache_bytes}};
  if (planned.cache.router) json["threshold"] = planned.cache.threshold;
  return json;
}

// "1.781 T", or "1.520 G" for small models.
std::string macs_text(double macs) {
  return macs >= 1e11 ? fmt::format("{:.3f} T", macs / 1e12) : fmt::format("{:.3f} G", macs / 1e9);
}

void print_plan(const PlanOptions& options, const Planned& planned) {
  const PlanCost& cost = planned.cost;
  stdout_stream() << heat_map(planned.plan, planned.shape, stdout_is_terminal()) << std::endl;
  if (options.target_speedup) {
    say(fmt::format("asked for an ideal speed-up of {:.4g}x: threshold {:.9g} gives {:.4f}x\n",
                    *options.target_speedup, planned.cache.threshold, cost.ideal_speedup));
  }
  say(
      fmt::format("{}, {} steps\n"
                  "  branches reused        {} of {} at the cache steps ({} computed in all)\n"
                  "  MACs, paper's count    {} -> {} (one image, no guidance)\n"
                  "  MACs, true count       {} -> {} (attention products counted)\n"
                  "  ideal speed-up         {:.3f}x\n"
                  "  stored for one image   {} (fp32, guided)",
                  planned.cache.policy->name(), planned.plan.evaluations(), cost.reused,
                  cost.cache_step_branches, cost.computed, macs_text(cost.paper_macs_full),
                  macs_text(cost.paper_macs_plan), macs_text(cost.true_macs_full),
                  macs_text(cost.true_macs_plan), cost.ideal_speedup,
                  bytes_text(static_cast<double>(cost.cache_bytes))));
}

void plan(const PlanOptions& options) {
  const auto planned = make_plan(options);
  if (options.json) {
    say(json_text(plan_json(planned)));
  } else {
    print_plan(options, planned);
  }
}

}  // namespace

void add_plan(CLI::App& app) {
  auto* command =
      app.add_subcommand("plan", "Show what a router computes, saves and stores, without a model.");
  auto options = std::make_shared<PlanOptions>();
  command->add_option("--arch", options->arch, "\"DiT-XL/2\", ... or a JSON file")->required();
  add_cache_options(*command, options->cache);
  add_step_options(*command, options->step);
  command
      ->add_option("--target-speedup", options->target_speedup,
                   "choose the smallest threshold with at least this ideal speed-up")
      ->excludes("--threshold");
  command->add_flag("--json", options->json, "numbers for programs");
  command->footer(
      "Example:\n"
      "  l2c plan --arch DiT-XL/2 --router DDIM20_router.pt --threshold 0.1 --steps 20");
  command->callback([options] { plan(*options); });
}

}  // namespace l2c::cli
