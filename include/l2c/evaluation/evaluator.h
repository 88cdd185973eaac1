// Comparing cache policies by quality, time, work and memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "l2c/evaluation/feature_network.h"
#include "l2c/evaluation/policy_spec.h"
#include "l2c/evaluation/quality.h"
#include "l2c/evaluation/reference.h"
#include "l2c/evaluation/sample_set.h"
#include "l2c/evaluation/timing.h"
#include "l2c/sampling/pipeline.h"

namespace l2c {

struct EvaluationOptions {
  // Steps, spacing, sampler, eta, guidance and batch_size of every policy; "steps:N" replaces steps
  // and spacing. Labels, seed and cache are not used.
  Request request;
  std::vector<std::uint64_t> seeds{0};
  std::int64_t images = 5000;  // a policy and seed
  int timing_rounds = 9;
  QualityOptions quality;
};

// Mean over the seeds and sample standard deviation (0 with one seed).
struct Spread {
  double mean = 0;
  double deviation = 0;
};
// Throws InputError for no values.
Spread spread(const std::vector<double>& values);

struct SeedResult {
  std::uint64_t seed = 0;
  Quality quality;
  double seconds_per_image = 0;  // while its images were sampled
  std::string images_fingerprint;
};

struct PolicyResult {
  PolicySpec spec;
  int steps = 0;
  std::vector<SeedResult> seeds;
  Spread frechet, kid, precision, recall, inception_score, accuracy, seconds_per_image;
  Interval pooled_accuracy;  // over the images of all seeds
  Timing timing;  // in turn with all other policies; speedup against computing everything
  double ideal_speedup = 1;      // true MACs of computing everything in all steps / of what ran
  double computed_share = 1;     // branches computed, of those of computing everything in all steps
  std::int64_t cache_bytes = 0;  // peak of stored tensors for one image
};

struct EvaluationReport {
  ModelSummary model;
  std::string network;
  std::string network_fingerprint;
  ReferenceStatistics reference;
  EvaluationOptions options;
  int threads = 0;
  Timing full;  // computing everything, timed in turn with the policies
  std::vector<PolicyResult> policies;
};

struct EvaluationProgress {
  std::string doing;      // "full, seed 0", "timing", ...
  std::int64_t done = 0;  // images or rounds
  std::int64_t of = 0;
  double elapsed_seconds = 0;  // since `doing` began
};
using EvaluationProgressFunction = std::function<void(const EvaluationProgress&)>;

// Samples every policy and seed in a folder of its own below `work` (see SampleSet: what is there
// is not sampled again), measures quality, then times all policies in turn. Throws InputError:
// policies that are equal or that do not fit the model (before any work), no policies or seeds,
// seeds given twice, sizes < 1, a reference of other images or of another network, and what
// SampleSet throws. Cancelled: the next call goes on from the finished shards. Thread-safe for
// different folders.
EvaluationReport evaluate(const Pipeline& pipeline, const FeatureNetwork& network,
                          const ReferenceStatistics& reference,
                          const std::vector<PolicySpec>& policies, const EvaluationOptions& options,
                          const std::filesystem::path& work,
                          const EvaluationProgressFunction& progress = {},
                          std::stop_token stop = {});

}  // namespace l2c
