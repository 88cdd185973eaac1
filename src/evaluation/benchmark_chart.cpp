#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>

#include "l2c/core/build_info.h"
#include "l2c/evaluation/bar_chart.h"
#include "l2c/evaluation/benchmark_report.h"
#include "l2c/sampling/planning.h"

namespace l2c {

namespace {

std::optional<double> images_per_second(const BenchmarkResult& result, const BenchmarkRuns& runs) {
  if (runs.seconds.empty()) return {};
  return numbers(result, runs).images_per_second;
}

std::string title(const BenchmarkReport& report) {
  const auto shape = plan_shape(1, report.request.spacing, report.request.steps, "");
  const auto machine = build_info().cpu_model;
  return fmt::format("{}, {} steps{}{}{}", report.model.architecture, shape.evaluations.size(),
                     machine.empty() ? "" : ", ", machine, complete(report) ? "" : " (incomplete)");
}

}  // namespace

io::Bitmap benchmark_chart(const BenchmarkReport& report) {
  BarChart chart{.title = title(report),
                 .group_label = "dtype, batch, threads",
                 .value_label = "images per second (median; longer is faster)",
                 .series = {{.name = "all computed", .colour = {140, 152, 168}}},
                 .groups = {}};
  if (!report.policy.empty()) {
    chart.series.push_back({.name = report.policy, .colour = {214, 76, 0}});
  }
  for (const auto& result : report.results) {
    BarGroup group{.label = fmt::format("{}, {}, {}", result.dtype, result.batch, result.threads),
                   .values = {images_per_second(result, result.full)}};
    if (!report.policy.empty()) {
      group.values.push_back(result.cached ? images_per_second(result, *result.cached)
                                           : std::nullopt);
    }
    chart.groups.push_back(std::move(group));
  }
  return draw(chart);
}

}  // namespace l2c
