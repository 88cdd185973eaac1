// l2c bench: how fast a model runs on this machine, and what its cache really saves.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arguments.h"
#include "commands.h"
#include "console.h"
#include "interrupt.h"
#include "l2c/core/build_info.h"
#include "l2c/core/error.h"
#include "l2c/evaluation/benchmark.h"
#include "l2c/evaluation/benchmark_report.h"
#include "l2c/io/png.h"
#include "l2c/models/dit_config.h"
#include "l2c/sampling/planning.h"
#include "outputs.h"
#include "report.h"

namespace l2c::cli {

namespace {

struct BenchOptions {
  PipelineOptions pipeline;
  CacheOptions cache;
  StepOptions step;
  NoiseOptions noise;
  std::vector<int> batches{1};
  std::vector<std::string> dtypes{"fp32"};
  std::vector<int> threads;
  BenchmarkOptions measure;
  std::string json;
  std::string chart;
  std::string command;
};

// "[2/4] bf16, batch 8, 1 thread: runs, 3 of 10", a line for each tenth of what takes many.
class Lines {
 public:
  Lines(int number, int of, const std::string& dtype, int batch, int threads)
      : title_(fmt::format("[{}/{}] {}, batch {}, {} thread{}", number, of, dtype, batch, threads,
                           threads == 1 ? "" : "s")) {}

  void show(const BenchmarkProgress& progress) {
    if (!due_.due(progress.doing, progress.done, progress.of)) return;
    const auto count =
        progress.of > 1 ? fmt::format(", {} of {}", progress.done, progress.of) : std::string();
    remark(fmt::format("{}: {}{}", title_, progress.doing, count));
  }

 private:
  std::string title_;
  TenthLines due_;
};

void check_numbers(const std::vector<int>& values, const char* what) {
  for (const int value : values) {
    if (value < 1) throw InputError(fmt::format("{} {}: give 1 or more", what, value));
  }
}

template <typename T>
void check_once(std::vector<T> values, const char* what) {
  std::sort(values.begin(), values.end());
  const auto twice = std::adjacent_find(values.begin(), values.end());
  if (twice != values.end()) throw InputError(fmt::format("{} {} is given twice", what, *twice));
}

// The router against the architecture, where the command line names one: before weights are made.
void check_cache(const BenchOptions& options, const Cache& cache) {
  if (options.pipeline.load.architecture.empty()) return;
  const auto config = dit_config(options.pipeline.load.architecture);
  const auto shape = plan_shape(config.depth, options.step.spacing, steps_for(options.step, cache),
                                options.step.sampler);
  if (cache.policy) (void)cache.policy->plan(shape);
}

void check(const BenchOptions& options) {
  check_pipeline(options.pipeline);
  check_numbers(options.batches, "--batch");
  check_numbers(options.threads, "--threads");
  check_once(options.batches, "--batch");
  check_once(options.dtypes, "--dtype");
  check_once(options.threads, "--threads");
  check_benchmark(options.measure, options.pipeline.load.device);
  check_outputs({options.json, options.chart}, inputs_of(options.pipeline, options.cache));
}

// Everything at once, in one micro-batch; class after class.
Request with_batch(Request request, int batch, const ModelSummary& model) {
  for (int i = 0; i < batch; ++i) request.labels.push_back(i % model.num_classes);
  request.batch_size = batch;
  return request;
}

// All batches and threads of one loaded model; false: stopped.
bool measure(const BenchOptions& options, const Pipeline& pipeline, const std::string& dtype,
             BenchmarkReport& report, const std::stop_token& stop) {
  for (const int threads : options.threads) {
    set_threads(threads);
    for (const int batch : options.batches) {
      Lines lines(static_cast<int>(report.results.size()) + 1, report.planned, dtype, batch,
                  threads);
      report.results.push_back(benchmark(
          pipeline,
          {.request = with_batch(report.request, batch, pipeline.summary()),
           .dtype = dtype,
           .device = options.pipeline.load.device},
          options.measure, [&](const BenchmarkProgress& progress) { lines.show(progress); }, stop));
      if (!report.results.back().complete) return false;
    }
  }
  return true;
}

// Fills the report combination by combination.
void measure_all(const BenchOptions& options, BenchmarkReport& report,
                 const std::stop_token& stop) {
  const Cache cache = make_cache(options.cache);
  check_cache(options, cache);
  report.command = options.command;
  report.weights = options.pipeline.init.empty() ? options.pipeline.model : options.pipeline.init;
  report.policy = cache.policy ? cache.policy->name() : "";
  report.request = make_request(options.step, options.noise, cache);
  report.planned =
      static_cast<int>(options.dtypes.size() * options.threads.size() * options.batches.size());
  for (const auto& dtype : options.dtypes) {
    PipelineOptions source = options.pipeline;
    source.load.dtype = dtype;
    const auto pipeline = open_pipeline(source);
    report.model = pipeline.summary();
    if (!measure(options, pipeline, dtype, report, stop)) break;
  }
}

// Numbers before the picture: if that fails, they are not lost.
void write_outputs(const BenchOptions& options, const BenchmarkReport& report) {
  if (!options.json.empty()) {
    write_text(options.json, benchmark_json(report));
    say(fmt::format("wrote {}", options.json));
  }
  const bool any = std::any_of(report.results.begin(), report.results.end(),
                               [](const auto& result) { return !result.full.seconds.empty(); });
  if (!options.chart.empty() && any) {
    io::write_png(options.chart, benchmark_chart(report));
    say(fmt::format("wrote {}", options.chart));
  }
}

void bench(BenchOptions options) {
  if (options.threads.empty()) options.threads = {build_info().threads};
  check(options);
  const Interrupt interrupt;
  BenchmarkReport report;
  std::exception_ptr failure;
  try {
    measure_all(options, report, interrupt.token());
  } catch (...) {  // a combination that fails does not take the others with it
    failure = std::current_exception();
  }
  if (!report.results.empty()) {
    say(benchmark_table(report));
    if (options.measure.profile) say(profile_table(report));
    write_outputs(options, report);
  }
  if (failure) std::rethrow_exception(failure);
  if (complete(report)) return;
  const auto done = std::count_if(report.results.begin(), report.results.end(),
                                  [](const auto& result) { return result.complete; });
  throw Cancelled(
      fmt::format("cancelled: {} of {} combinations are complete, the rest is marked as incomplete",
                  done, report.planned));
}

void add_measurements(CLI::App& app, BenchOptions& options) {
  app.add_option("--batch", options.batches, "images a run, one or more, comma separated")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--dtype", options.dtypes, "fp32, bf16 or both, comma separated")
      ->delimiter(',')
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
  app.add_option("--threads", options.threads,
                 "CPU threads, one number or more, comma separated (default: all cores)")
      ->delimiter(',');
  app.add_option("--runs", options.measure.runs,
                 "timed runs of each combination with the cache, and as many without, in turn")
      ->capture_default_str();
  app.add_option("--seconds", options.measure.seconds,
                 "begin no more runs of a combination after so many seconds");
  app.add_flag("--profile", options.measure.profile,
               "one more run of each kind, by operation (CPU only)");
  app.add_option("--json", options.json, "all numbers and every run's seconds: a JSON file");
  app.add_option("--chart", options.chart, "images a second as bars: a PNG file");
}

}  // namespace

void add_bench(CLI::App& app) {
  auto* command = app.add_subcommand(
      "bench",
      "Measure speed and memory for every batch, dtype and number of threads, with and without the "
      "cache in turn: what it saves, of what it should save, and where the time goes.");
  auto options = std::make_shared<BenchOptions>();
  add_pipeline_options(*command, options->pipeline);
  add_cache_options(*command, options->cache);
  add_step_options(*command, options->step);
  add_noise_options(*command, options->noise);
  add_range_option(*command, options->noise);
  add_measurements(*command, *options);
  command->footer(
      "Example: a model whose weights are not at hand, before paying for the machine\n"
      "  l2c bench --init seeded:1 --arch DiT-XL/2 --router DDIM20_router.pt --threshold 0.1 \\\n"
      "    --batch 1,4 --dtype fp32,bf16 --runs 5 --profile --json bench.json --chart bench.png");
  command->callback([options, command] {
    options->command = given_command(*command);
    bench(*options);
  });
}

}  // namespace l2c::cli
