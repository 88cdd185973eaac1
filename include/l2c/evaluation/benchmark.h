// How fast a model runs on this machine, and what its cache really saves. No LibTorch header
// behind it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "l2c/evaluation/product_ceiling.h"
#include "l2c/sampling/pipeline.h"

namespace l2c {

// What a run spends the processors' time on.
struct OperationShare {
  std::string name{};              // "qkv", ..., "other": all that no operation accounts for
  double seconds = 0;              // of processor time, all threads together
  double share = 0;                // of the run's
  std::optional<double> gflops{};  // a second of processor time, where it has operations to count
};

struct RunProfile {
  double cpu_seconds = 0;  // of the whole process during the run
  double wall_seconds = 0;
  std::vector<OperationShare>
      operations;  // their seconds sum up to cpu_seconds or, by the clocks' grain, a little more
};

// Runs with everything computed, or with reuse.
struct BenchmarkRuns {
  std::vector<double> seconds;         // of the denoising loop, one a run, in the order they ran
  std::vector<double> cpu_seconds;     // of all threads, decoding included; one a run
  RunStats stats;                      // of the last run
  std::int64_t peak_memory_bytes = 0;  // of the process, weights included; 0: the system won't say
  std::optional<RunProfile> profile;   // of a run of its own
};

struct BenchmarkResult {
  std::string dtype, device;
  int threads = 0;
  int batch = 0;         // images a run
  double run_gflop = 0;  // 1e9 operations of a run with everything computed, guidance counted
  ProductCeiling ceiling;
  BenchmarkRuns full;
  std::optional<BenchmarkRuns> cached;
  bool complete = false;  // false: stopped before all runs were made
};

struct BenchmarkCase {
  // All its images at a time, whatever batch_size says. With a cache runs with and without it take
  // turns; without one there is nothing but full runs.
  Request request;
  // What the pipeline was loaded with, for the products to be measured alike.
  std::string dtype = "fp32", device = "cpu";
};

struct BenchmarkOptions {
  int runs = 10;                    // with the cache, and as many without
  std::optional<double> seconds{};  // no more runs begin after so many, but for the first ones
  bool profile = false;             // one more run each, by operation; CPU only
  double ceiling_seconds = 0.125;   // for each product measured alone, before the runs and after
};

// Throws InputError: runs < 1, seconds not above 0, a profile of a GPU.
void check_benchmark(const BenchmarkOptions& options, const std::string& device);

struct BenchmarkProgress {
  std::string doing;  // "products", "warm-up", "runs", "profile"
  int done = 0;
  int of = 0;
};
using BenchmarkProgressFunction = std::function<void(const BenchmarkProgress&)>;

// Measures the products (again at the end: the faster counts), makes a run of each kind to warm up
// (whose peak of memory is taken, after free memory went back to the system), then runs in turn:
// what slows the machine down for a while slows down both. With the threads that set_threads()
// allows. A stop gives what there is so far, not complete. Throws InputError (request, options),
// what Pipeline::sample throws otherwise. One at a time in a process.
BenchmarkResult benchmark(const Pipeline& pipeline, const BenchmarkCase& bench_case,
                          const BenchmarkOptions& options = {},
                          const BenchmarkProgressFunction& progress = {},
                          std::stop_token stop = {});

// What follows from the runs' seconds; there must be at least one.
struct BenchmarkNumbers {
  double p50 = 0, p95 = 0;  // seconds of a run; between two runs on the straight line
  double seconds_per_step = 0;
  double images_per_second = 0;
  double gflops = 0;  // of what really ran: operations that the cache saved are not counted
  // gflops / those of the products alone. The former count attention and the rest, the latter the
  // dense layers of the blocks.
  double of_ceiling = 0;
};
BenchmarkNumbers numbers(const BenchmarkResult& result, const BenchmarkRuns& runs);

// Seconds with everything computed / with the cache, the median over the rounds; nullopt when there
// is no round of both.
std::optional<double> realised_speedup(const BenchmarkResult& result);

}  // namespace l2c
