// Comparing cache policies by quality, time, work and memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
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
  std::string device = "cpu";  // see SampleSetOptions::device
  QualityOptions quality;
  bool share = false;  // see SampleSetOptions::share
};

// Mean over the seeds and sample standard deviation, which one seed alone does not have.
struct Spread {
  double mean = 0;
  std::optional<double> deviation;
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
  // NaN: not measured, see Quality
  Spread frechet, spatial_frechet, kid, precision, recall, inception_score, inception_score_whole,
      accuracy, seconds_per_image;
  Interval pooled_accuracy;  // over the images of all seeds; NaN likewise
  // In turn with all other policies; speedup against computing everything in as many steps as the
  // options have, and 1 where the policy is just that.
  Timing timing;
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

// Throws the InputError with which evaluate(), and measuring the reference from `data`, would be
// refused: policies that are equal or that do not fit the model, no policies or seeds, seeds given
// twice, numbers outside their range, too few images, a model or a network for other images than
// the data's, guidance that the model cannot do, a folder below `work` with images of other
// settings. Makes nothing; for checks before long work.
void check_evaluation(const Pipeline& pipeline, const FeatureNetwork& network, const DataInfo& data,
                      const std::vector<PolicySpec>& policies, const EvaluationOptions& options,
                      const std::filesystem::path& work);

// The part of check_evaluation() that is about the images alone: policies, seeds and folders.
void check_samples(const Pipeline& pipeline, const std::vector<PolicySpec>& policies,
                   const EvaluationOptions& options, const std::filesystem::path& work);

// The images that are timed at once: a batch, or fewer where a policy makes fewer in all.
std::int64_t timing_batch(const EvaluationOptions& options);

// Samples every policy and seed in a folder of its own below `work` (see SampleSet: what is there
// is not sampled again), measures quality, then times all policies in turn. Throws InputError: a
// reference of another network and what check_evaluation() refuses (before any work), what
// SampleSet throws. Cancelled: the next call goes on from the finished shards. RunError: out of
// memory, ... Thread-safe; of two calls, in whatever processes, that want the same sample set at
// the same time, the second is refused, unless both share.
EvaluationReport evaluate(const Pipeline& pipeline, const FeatureNetwork& network,
                          const ReferenceStatistics& reference,
                          const std::vector<PolicySpec>& policies, const EvaluationOptions& options,
                          const std::filesystem::path& work,
                          const EvaluationProgressFunction& progress = {},
                          std::stop_token stop = {});

// The images of one policy and seed that evaluate() measures, sampled where they are missing.
// Throws as SampleSet::sample() does.
SampleSet evaluated_samples(const Pipeline& pipeline, const PolicySpec& policy, std::uint64_t seed,
                            const EvaluationOptions& options, const std::filesystem::path& work,
                            const EvaluationProgressFunction& progress = {},
                            std::stop_token stop = {});

}  // namespace l2c
