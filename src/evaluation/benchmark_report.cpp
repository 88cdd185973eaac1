#include "l2c/evaluation/benchmark_report.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "machine.h"
#include "sampling_settings.h"

namespace l2c {

namespace {

using Json = nlohmann::ordered_json;

Json json_of(const RunProfile& profile) {
  Json json{{"cpu_seconds", profile.cpu_seconds}, {"wall_seconds", profile.wall_seconds}};
  for (const auto& operation : profile.operations) {
    Json entry{{"name", operation.name},
               {"seconds", operation.seconds},
               {"share", operation.share},
               {"gflops", nullptr}};
    if (operation.gflops) entry["gflops"] = *operation.gflops;
    json["operations"].push_back(std::move(entry));
  }
  return json;
}

Json json_of(const MeasuredProduct& product) {
  return {{"name", product.name},
          {"rows", product.rows},
          {"in", product.in},
          {"out", product.out},
          {"gflops", product.gflops}};
}

Json json_of(const ProductCeiling& ceiling) {
  Json json{{"gflops", ceiling.gflops}, {"square", json_of(ceiling.square)}};
  for (const auto& layer : ceiling.layers) json["layers"].push_back(json_of(layer));
  return json;
}

Json json_of(const BenchmarkResult& result, const BenchmarkRuns& runs) {
  Json json{{"seconds", runs.seconds},
            {"cpu_seconds", runs.cpu_seconds},
            {"peak_memory_bytes", runs.peak_memory_bytes}};
  if (runs.seconds.empty()) return json;
  const auto n = numbers(result, runs);
  json.update({{"p50_seconds", n.p50},
               {"p95_seconds", n.p95},
               {"seconds_per_step", n.seconds_per_step},
               {"images_per_second", n.images_per_second},
               {"gflops", n.gflops},
               {"of_product_ceiling", n.of_ceiling},
               {"computed", runs.stats.computed},
               {"reused", runs.stats.reused},
               {"cache_bytes", runs.stats.cache_bytes}});
  if (runs.profile) json["profile"] = json_of(*runs.profile);
  return json;
}

Json json_of(const BenchmarkResult& result) {
  Json json{{"batch", result.batch},
            {"dtype", result.dtype},
            {"device", result.device},
            {"threads", result.threads},
            {"complete", result.complete},
            {"run_gflop", result.run_gflop},
            {"product_ceiling", json_of(result.ceiling)},
            {"full", json_of(result, result.full)}};
  if (!result.cached) return json;
  json["cached"] = json_of(result, *result.cached);
  if (const auto realised = realised_speedup(result)) {
    const double ideal = result.cached->stats.ideal_speedup;
    json["ideal_speedup"] = ideal;
    json["realised_speedup"] = *realised;
    json["realised_over_ideal"] = *realised / ideal;
  }
  return json;
}

}  // namespace

bool complete(const BenchmarkReport& report) {
  if (report.results.size() != static_cast<std::size_t>(report.planned)) return false;
  for (const auto& result : report.results) {
    if (!result.complete) return false;
  }
  return true;
}

std::string benchmark_json(const BenchmarkReport& report) {
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  Json settings = sampling_settings(report.request);
  settings["seed"] = report.request.seed;
  Json machine = machine_json();
  machine["processors"] = std::thread::hardware_concurrency();
  Json json{{"command", report.command},
            {"date", fmt::format("{:%FT%TZ}", fmt::gmtime(now))},
            {"complete", complete(report)},
            {"machine", std::move(machine)},
            {"model",
             {{"weights", report.weights},
              {"architecture", report.model.architecture},
              {"fingerprint", report.model.fingerprint}}},
            {"policy", nullptr},
            {"settings", std::move(settings)},
            {"combinations_planned", report.planned},
            {"combinations", Json::array()}};
  if (!report.policy.empty()) json["policy"] = report.policy;
  for (const auto& result : report.results) json["combinations"].push_back(json_of(result));
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace l2c
