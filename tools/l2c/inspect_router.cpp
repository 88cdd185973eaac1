// l2c inspect: routers, their pictures and their differences.
#include <fmt/format.h>

#include <filesystem>
#include <vector>

#include "inspecting.h"
#include "l2c/cache/policies.h"
#include "l2c/cache/router_difference.h"
#include "l2c/core/error.h"
#include "l2c/evaluation/router_chart.h"
#include "l2c/io/png.h"
#include "l2c/sampling/planning.h"

namespace l2c::cli {

namespace {

using Json = nlohmann::ordered_json;

std::vector<double> thresholds(const InspectOptions& options) {
  if (options.threshold) return {*options.threshold};
  return {0.1, 0.5, 0.9};
}

// Only routers of DiT samplers follow the rule of LearnedRouter; the published U-ViT ones do not
// say their sampler.
std::optional<RunShape> shape_of(const Router& router) {
  const RouterInfo& info = router.info();
  if (info.sampler.empty()) return std::nullopt;
  return plan_shape(router.units() / 2, info.spacing, router.rows(), info.sampler);
}

// Branches reused at the cache steps for some thresholds.
Json reuse_table(const Router& router, const std::vector<double>& thresholds) {
  Json table = Json::array();
  const auto shape = shape_of(router);
  if (!shape) return table;
  for (const double threshold : thresholds) {
    const auto plan = LearnedRouter(router, threshold).plan(*shape).value();
    table.push_back({{"threshold", threshold},
                     {"reused", plan.reused()},
                     {"cache_step_branches", plan.cache_step_branches()}});
  }
  return table;
}

// Which steps compute everything.
std::string rule_text(int group) {
  if (group == 0) return "the first step computes everything";
  if (group == 2) return "";  // every published router's
  return fmt::format("every {}th step computes everything", group);
}

}  // namespace

Json describe_router(const InspectOptions& options) {
  const auto router = Router::load(options.file);
  const RouterInfo& info = router.info();
  Json json{{"kind", "router"},
            {"steps", router.rows()},
            {"units", router.units()},
            {"blocks", router.units() / 2},
            {"fingerprint", router.fingerprint()}};
  if (!info.sampler.empty()) json["sampler"] = info.sampler;
  if (!info.spacing.empty()) json["spacing"] = info.spacing;
  if (info.threshold) json["threshold"] = *info.threshold;
  if (info.lambda) json["lambda"] = *info.lambda;
  if (info.group != 2) json["group"] = info.group;
  if (info.group != 2) json["rule"] = rule_text(info.group);
  if (!info.recall.empty()) json["recall"] = info.recall;
  if (!info.model_fingerprint.empty()) json["model_fingerprint"] = info.model_fingerprint;
  if (!info.training.empty()) json["training"] = info.training;
  json["reuse"] = reuse_table(router, thresholds(options));
  return json;
}

void draw_heat_map(const InspectOptions& options) {
  const auto router = Router::load(options.file);
  const double threshold = options.threshold.value_or(router.recommended_threshold());
  const auto name = std::filesystem::path(options.file).filename().string();
  io::write_png(options.heat_map, draw_router_chart(router, threshold, name));
}

Json describe_router_differences(const InspectOptions& options) {
  const auto first = Router::load(options.file);
  const auto second = Router::load(options.other);
  Json json{{"kind", "difference of routers"}, {"files", {options.file, options.other}}};
  if (first.rows() != second.rows() || first.units() != second.units()) {
    json["same"] = false;
    json["steps"] = {first.rows(), second.rows()};
    json["blocks"] = {first.units() / 2, second.units() / 2};
    return json;
  }
  const auto shape = shape_of(first);
  const auto found =
      compare_routers(first, second, thresholds(options), shape ? shape : shape_of(second));
  json["same"] = found.same();
  json["logits"] = {{"differing", found.differing},
                    {"of", found.of},
                    {"largest", found.largest},
                    {"mean", found.mean}};
  json["decisions"] = Json::array();
  for (const auto& at : found.decisions) {
    json["decisions"].push_back(
        {{"threshold", at.threshold}, {"differing", at.differing}, {"of", at.of}});
  }
  json["facts"] = Json::object();
  for (const auto& fact : found.facts) json["facts"][fact.name] = {fact.first, fact.second};
  return json;
}

}  // namespace l2c::cli
