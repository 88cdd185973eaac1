#include "l2c/evaluation/benchmark.h"

#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <utility>

#include "l2c/core/build_info.h"
#include "l2c/core/error.h"
#include "l2c/evaluation/timing.h"
#include "l2c/ops/profile.h"
#include "l2c/sampling/planning.h"
#include "process.h"
#include "run_profile.h"

namespace l2c {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

int images_of(const Request& request) {
  return static_cast<int>(request.labels.size()) * request.per_class;
}

// Rows of the model's batch where it is largest: guidance doubles them.
double samples_of(const Request& request) {
  return images_of(request) * (request.guidance == 1 ? 1.0 : 2.0);
}

// In the mean over the calls of a run.
double mean_samples_of(const Request& request) {
  const auto shape = plan_shape(1, request.spacing, request.steps, "");
  return images_of(request) * rows_of_run(request) / static_cast<double>(shape.evaluations.size());
}

class Benchmark {
 public:
  Benchmark(const Pipeline& pipeline, const BenchmarkCase& bench_case,
            const BenchmarkOptions& options, const BenchmarkProgressFunction& progress,
            std::stop_token stop)
      : pipeline_(pipeline),
        case_(bench_case),
        options_(options),
        progress_(progress),
        stop_(std::move(stop)) {
    kinds_.push_back({.request = bench_case.request, .runs = &result_.full});
    kinds_[0].request.batch_size = images_of(bench_case.request);
    if (bench_case.request.cache) {
      kinds_.push_back({.request = kinds_[0].request, .runs = &result_.cached.emplace()});
    }
    kinds_[0].request.cache = nullptr;
  }

  BenchmarkResult operator()() {
    describe();
    try {
      measure();
      result_.complete = true;
    } catch (const Cancelled&) {  // what is there so far is worth something
    }
    return std::move(result_);
  }

 private:
  struct Kind {
    Request request{};
    BenchmarkRuns* runs = nullptr;
  };

  void describe() {
    (void)pipeline_.plan(kinds_[0].request);  // throws for a bad request
    if (kinds_.size() > 1) (void)pipeline_.plan(kinds_[1].request);
    result_.dtype = case_.dtype;
    result_.device = case_.device;
    result_.threads = build_info().threads;
    result_.batch = images_of(case_.request);
    result_.run_gflop = 2e-9 * pipeline_.cost().total().truth * rows_of_run(case_.request) *
                        images_of(case_.request);
  }

  void measure() {
    result_.ceiling = products(0);
    warm_up();
    const auto start = Clock::now();
    for (int round = 0; round < options_.runs; ++round) {
      if (round > 0 && options_.seconds && seconds_since(start) >= *options_.seconds) break;
      for (const auto k : alternating_order(static_cast<std::size_t>(round), kinds_.size())) {
        const double cpu = process_cpu_seconds();
        const auto stats = pipeline_.sample(kinds_[k].request, {}, stop_).stats;
        kinds_[k].runs->cpu_seconds.push_back(process_cpu_seconds() - cpu);
        kinds_[k].runs->seconds.push_back(stats.denoise_seconds);
        kinds_[k].runs->stats = stats;
      }
      report("runs", round + 1, options_.runs);
    }
    // Before and after the runs, whose machine may have been another one's for a while.
    result_.ceiling = faster(result_.ceiling, products(1));
    if (options_.profile) profile();
  }

  ProductCeiling products(int done) {
    report("products", done, 2);
    return measure_product_ceiling(pipeline_.cost(),
                                   {.samples = static_cast<std::int64_t>(samples_of(case_.request)),
                                    .dtype = case_.dtype,
                                    .device = case_.device,
                                    .seconds_each = options_.ceiling_seconds},
                                   stop_);
  }

  void warm_up() {
    int done = 0;
    for (const auto& kind : kinds_) {
      report("warm-up", done++, static_cast<int>(kinds_.size()));
      restart_peak_memory();
      (void)pipeline_.sample(kind.request, {}, stop_);
      kind.runs->peak_memory_bytes = peak_memory_bytes();
    }
  }

  void profile() {
    int done = 0;
    for (const auto& kind : kinds_) {
      report("profile", done++, static_cast<int>(kinds_.size()));
      ops::Profile profile;
      const double cpu = process_cpu_seconds();
      const auto start = Clock::now();
      {
        const ops::ProfileScope scope(profile);
        (void)pipeline_.sample(kind.request, {}, stop_);
      }
      kind.runs->profile =
          run_profile(profile, process_cpu_seconds() - cpu, seconds_since(start), pipeline_.cost(),
                      pipeline_.plan(kind.request), mean_samples_of(kind.request));
    }
  }

  void report(const char* doing, int done, int of) {
    if (progress_) progress_({.doing = doing, .done = done, .of = of});
  }

  const Pipeline& pipeline_;
  const BenchmarkCase& case_;
  const BenchmarkOptions& options_;
  const BenchmarkProgressFunction& progress_;
  std::stop_token stop_;
  BenchmarkResult result_;
  std::vector<Kind> kinds_;  // everything computed, then with the cache, if any
};

}  // namespace

void check_benchmark(const BenchmarkOptions& options, const std::string& device) {
  if (options.runs < 1) throw InputError(fmt::format("{} runs: give at least 1", options.runs));
  if (options.seconds && !(*options.seconds > 0)) {
    throw InputError(fmt::format("{} seconds: give more than 0", *options.seconds));
  }
  if (options.profile && device != "cpu") {
    throw InputError(fmt::format(
        "operations can be timed on the CPU, not on {}: leave out the profile", device));
  }
}

BenchmarkResult benchmark(const Pipeline& pipeline, const BenchmarkCase& bench_case,
                          const BenchmarkOptions& options,
                          const BenchmarkProgressFunction& progress, std::stop_token stop) {
  check_benchmark(options, bench_case.device);
  return Benchmark(pipeline, bench_case, options, progress, std::move(stop))();
}

BenchmarkNumbers numbers(const BenchmarkResult& result, const BenchmarkRuns& runs) {
  BenchmarkNumbers numbers;
  numbers.p50 = quantile(runs.seconds, 0.5);
  numbers.p95 = quantile(runs.seconds, 0.95);
  numbers.seconds_per_step = numbers.p50 / runs.stats.steps;
  numbers.images_per_second = result.batch / numbers.p50;
  numbers.gflops = result.run_gflop / runs.stats.ideal_speedup / numbers.p50;
  numbers.of_ceiling = numbers.gflops / result.ceiling.gflops;
  return numbers;
}

std::optional<double> realised_speedup(const BenchmarkResult& result) {
  if (!result.cached || result.full.seconds.empty() || result.cached->seconds.empty()) return {};
  return quantile(round_ratios(result.full.seconds, result.cached->seconds), 0.5);
}

}  // namespace l2c
