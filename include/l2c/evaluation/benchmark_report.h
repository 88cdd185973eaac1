// Benchmarks as tables, as JSON and as a chart. No LibTorch header behind it.
#pragma once

#include <string>
#include <vector>

#include "l2c/evaluation/benchmark.h"
#include "l2c/io/png.h"

namespace l2c {

struct BenchmarkReport {
  std::string command{};  // how it was made, for people
  ModelSummary model{};
  std::string weights{};  // the model's file or seed
  std::string policy{};   // the cache's; empty: none
  // What all runs have in common; the labels and the batch are the results'.
  Request request{};
  int planned = 0;  // combinations asked for; complete when all of them are there and complete
  std::vector<BenchmarkResult> results{};
};

// Whether nothing was stopped before its end.
bool complete(const BenchmarkReport& report);

// Two lines a combination: everything computed and cached; then the products' ceilings. Results
// without a run are left out.
std::string benchmark_table(const BenchmarkReport& report);

// For every profiled run a line an operation; empty without profiles.
std::string profile_table(const BenchmarkReport& report);

// Indented JSON with every number, the seconds of every run, machine and date (UTC).
std::string benchmark_json(const BenchmarkReport& report);

// Images a second: a bar for each combination, and one beside it for the cache. Throws InputError
// when no run was made.
io::Bitmap benchmark_chart(const BenchmarkReport& report);

}  // namespace l2c
