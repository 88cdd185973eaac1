// The options of l2c sample.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "arguments.h"

namespace l2c::cli {

struct SampleOptions {
  PipelineOptions pipeline;
  CacheOptions cache;
  StepOptions step;
  NoiseOptions noise;
  std::string from;                  // a PNG that this program wrote
  std::vector<std::string> labels;   // numbers and names
  std::vector<std::uint64_t> seeds;  // one an image, or none
  std::int64_t first_image = 0;      // of --from alone
  std::optional<int> image;          // of --from alone: the only one to show
  int per_class = 1;
  std::string initial_noise;
  int batch_size = 16;
  std::uint64_t memory_limit = 0;
  std::optional<int> threads;
  std::string out;
  std::string images;
  std::string preview;
  int preview_every = 5;
  std::string save_latents;
  std::string stats;
  bool compare = false;
  bool no_cuda_graphs = false;
};

void add_sample_options(CLI::App& app, SampleOptions& options);

// Everything of the request but its labels.
Request make_request(const SampleOptions& options, const Cache& cache);

}  // namespace l2c::cli
