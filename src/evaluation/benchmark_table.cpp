#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "l2c/evaluation/benchmark_report.h"

namespace l2c {

namespace {

std::string megabytes(std::int64_t bytes) {
  return bytes == 0 ? "-" : fmt::format("{:.0f}", static_cast<double>(bytes) * 1e-6);
}

std::string header() {
  return fmt::format(
      "{:<6}{:>6}{:>8}  {:<13}{:>5}{:>10}{:>10}{:>10}{:>10}{:>9}{:>11}{:>9}{:>10}"
      "{:>10}{:>10}\n",
      "dtype", "batch", "threads", "", "runs", "p50 s", "p95 s", "ms/step", "images/s", "GFLOP/s",
      "of ceiling", "peak MB", "ideal", "realised", "of ideal");
}

std::string row(const BenchmarkResult& result, const char* kind, const BenchmarkRuns& runs,
                const std::string& speedups) {
  const auto n = numbers(result, runs);
  return fmt::format(
      "{:<6}{:>6}{:>8}  {:<13}{:>5}{:>10.3f}{:>10.3f}{:>10.2f}{:>10.3f}{:>9.1f}{:>10.1f}%{:>9}{}\n",
      result.dtype, result.batch, result.threads, kind, runs.seconds.size(), n.p50, n.p95,
      1000 * n.seconds_per_step, n.images_per_second, n.gflops, 100 * n.of_ceiling,
      megabytes(runs.peak_memory_bytes), speedups);
}

std::string speedups(const BenchmarkResult& result) {
  const auto realised = realised_speedup(result);
  if (!realised) return {};
  const double ideal = result.cached->stats.ideal_speedup;
  return fmt::format("{:>9.3f}x{:>9.3f}x{:>9.1f}%", ideal, *realised, 100 * *realised / ideal);
}

std::string ceiling_line(const BenchmarkResult& result) {
  auto line = fmt::format("  {:<6}{:>6}{:>8}  {:>8.1f} GFLOP/s:", result.dtype, result.batch,
                          result.threads, result.ceiling.gflops);
  for (const auto& layer : result.ceiling.layers) {
    line += fmt::format(" {} {:.1f},", layer.name, layer.gflops);
  }
  return line + fmt::format(" best square {} {:.1f}\n", result.ceiling.square.name,
                            result.ceiling.square.gflops);
}

std::string profile_of(const BenchmarkResult& result, const char* kind, const RunProfile& profile) {
  auto lines =
      fmt::format("{}, batch {}, {} thread{}, {}: {:.3f} s of processor time in {:.3f} s\n",
                  result.dtype, result.batch, result.threads, result.threads == 1 ? "" : "s", kind,
                  profile.cpu_seconds, profile.wall_seconds);
  lines += fmt::format("  {:<16}{:>10}{:>9}{:>20}\n", "operation", "seconds", "share",
                       "GFLOP/s a thread");
  for (const auto& operation : profile.operations) {
    lines += fmt::format("  {:<16}{:>10.4f}{:>8.1f}%{:>20}\n", operation.name, operation.seconds,
                         100 * operation.share,
                         operation.gflops ? fmt::format("{:.1f}", *operation.gflops) : "-");
  }
  return lines;
}

// A cache cannot save more than what it leaves out.
bool is_doubtful(const BenchmarkResult& result) {
  constexpr double rounding = 1.05;
  const auto realised = realised_speedup(result);
  return realised && *realised > rounding * result.cached->stats.ideal_speedup;
}

}  // namespace

std::string benchmark_table(const BenchmarkReport& report) {
  std::string rows, ceilings;
  for (const auto& result : report.results) {
    if (result.ceiling.gflops > 0) ceilings += ceiling_line(result);
    if (!result.full.seconds.empty()) rows += row(result, "all computed", result.full, "");
    if (result.cached && !result.cached->seconds.empty()) {
      rows += row(result, "cached", *result.cached, speedups(result));
    }
  }
  if (rows.empty()) return "no run was finished\n";
  auto table = header() + rows +
               "ceiling: the products of the blocks, each alone and at its best\n" + ceilings;
  if (std::ranges::any_of(report.results, is_doubtful)) {
    table +=
        "note: more than the ideal speed-up was measured: something else slowed some runs "
        "down; take more runs, or a quieter machine\n";
  }
  return table;
}

std::string profile_table(const BenchmarkReport& report) {
  std::string text;
  for (const auto& result : report.results) {
    if (result.full.profile) text += profile_of(result, "all computed", *result.full.profile);
    if (result.cached && result.cached->profile) {
      text += profile_of(result, "cached", *result.cached->profile);
    }
  }
  return text;
}

}  // namespace l2c
