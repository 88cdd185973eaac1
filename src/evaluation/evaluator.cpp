#include "l2c/evaluation/evaluator.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <utility>

#include "evaluator_requests.h"
#include "features.h"
#include "l2c/core/build_info.h"
#include "l2c/core/error.h"
#include "l2c/core/torch_errors.h"

namespace l2c {

namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

std::vector<double> column(const std::vector<SeedResult>& seeds, double Quality::*number) {
  std::vector<double> values;
  for (const auto& seed : seeds) values.push_back(seed.quality.*number);
  return values;
}

void summarize(PolicyResult& result) {
  const auto& seeds = result.seeds;
  result.frechet = spread(column(seeds, &Quality::frechet));
  result.spatial_frechet = spread(column(seeds, &Quality::spatial_frechet));
  result.kid = spread(column(seeds, &Quality::kid));
  result.precision = spread(column(seeds, &Quality::precision));
  result.recall = spread(column(seeds, &Quality::recall));
  result.inception_score = spread(column(seeds, &Quality::inception_score));
  result.inception_score_whole = spread(column(seeds, &Quality::inception_score_whole));
  std::vector<double> accuracy;
  std::vector<double> seconds;
  std::int64_t recognised = 0;
  std::int64_t images = 0;
  for (const auto& seed : seeds) {
    accuracy.push_back(seed.quality.accuracy.value);
    seconds.push_back(seed.seconds_per_image);
    recognised += seed.quality.recognised;
    images += seed.quality.images;
  }
  result.accuracy = spread(accuracy);
  result.seconds_per_image = spread(seconds);
  result.pooled_accuracy = share_interval(recognised, images);
  if (std::isnan(result.accuracy.mean)) result.pooled_accuracy = seeds.front().quality.accuracy;
}

class Comparison {
 public:
  Comparison(const Pipeline& pipeline, const FeatureNetwork& network,
             const ReferenceStatistics& reference, const std::vector<PolicySpec>& policies,
             const EvaluationOptions& options, const fs::path& work,
             const EvaluationProgressFunction& progress, std::stop_token stop)
      : pipeline_(pipeline),
        network_(network),
        reference_(reference),
        policies_(policies),
        options_(options),
        work_(work),
        progress_(progress),
        stop_(std::move(stop)) {}

  EvaluationReport operator()() {
    EvaluationReport report{.model = pipeline_.summary(),
                            .network = network_.description(),
                            .network_fingerprint = network_.fingerprint(),
                            .reference = reference_,
                            .options = options_,
                            .threads = build_info().threads,
                            .full = {},
                            .policies = {}};
    for (const auto& spec : policies_) report.policies.push_back(policy_result(spec));
    time(report);
    return report;
  }

 private:
  PolicyResult policy_result(const PolicySpec& spec) {
    PolicyResult result;
    result.spec = spec;
    for (const auto seed : options_.seeds) {
      const auto set = evaluated_samples(pipeline_, spec, seed, options_, work_, progress_, stop_);
      add_cost(result, set.cost());
      result.seeds.push_back(
          {.seed = seed,
           .quality = measure_quality(set, network_, reference_, options_.quality, stop_),
           .seconds_per_image = set.cost().denoise_seconds / static_cast<double>(set.size()),
           .images_fingerprint = set.fingerprint()});
    }
    // So far against as many steps; now against all of them.
    const double seeds = static_cast<double>(options_.seeds.size());
    const double steps = steps_of(options_.request);
    result.ideal_speedup = steps / result.steps * seeds / result.ideal_speedup;
    result.computed_share /= seeds * steps;
    summarize(result);
    return result;
  }

  // Sums over the seeds: of the work (1 / speed-up), and of the branches in steps' worth.
  void add_cost(PolicyResult& result, const SamplingCost& cost) const {
    if (result.seeds.empty()) result.ideal_speedup = result.computed_share = 0;
    result.steps = cost.steps;
    result.ideal_speedup += 1 / cost.ideal_speedup;
    result.computed_share += cost.computed / (2.0 * pipeline_.summary().blocks);
    result.cache_bytes = std::max(result.cache_bytes, cost.cache_bytes);
  }

  void time(EvaluationReport& result) const {
    const auto requests = timing_requests(policies_, options_, pipeline_.summary().num_classes);
    const auto start = Clock::now();
    report("timing", 0, options_.timing_rounds, 0);
    const auto timings = measure_alternating(
        pipeline_, requests, options_.timing_rounds,
        [&](int done, int of) {
          report("timing", done, of, std::chrono::duration<double>(Clock::now() - start).count());
        },
        stop_);
    result.full = timings.front();
    for (std::size_t k = 0; k < policies_.size(); ++k) result.policies[k].timing = timings[k + 1];
  }

  void report(const std::string& doing, std::int64_t done, std::int64_t of, double seconds) const {
    if (progress_) progress_({.doing = doing, .done = done, .of = of, .elapsed_seconds = seconds});
  }

  const Pipeline& pipeline_;
  const FeatureNetwork& network_;
  const ReferenceStatistics& reference_;
  const std::vector<PolicySpec>& policies_;
  const EvaluationOptions& options_;
  const fs::path& work_;
  const EvaluationProgressFunction& progress_;
  std::stop_token stop_;
};

}  // namespace

Spread spread(const std::vector<double>& values) {
  if (values.empty()) throw InputError("no values: a mean needs at least one");
  const auto count = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  if (values.size() == 1) return {.mean = mean, .deviation = {}};
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {.mean = mean, .deviation = std::sqrt(squares / (count - 1))};
}

SampleSet evaluated_samples(const Pipeline& pipeline, const PolicySpec& policy, std::uint64_t seed,
                            const EvaluationOptions& options, const fs::path& work,
                            const EvaluationProgressFunction& progress, std::stop_token stop) {
  return SampleSet::sample(
      pipeline, sample_set_of(policy, seed, options), folder_of(policy, seed, work),
      [&](const SampleSetProgress& at) {
        if (!progress) return;
        progress({.doing = fmt::format("{}, seed {}", policy.name, seed),
                  .done = at.images,
                  .of = at.of,
                  .elapsed_seconds = at.elapsed_seconds});
      },
      std::move(stop));
}

EvaluationReport evaluate(const Pipeline& pipeline, const FeatureNetwork& network,
                          const ReferenceStatistics& reference,
                          const std::vector<PolicySpec>& policies, const EvaluationOptions& options,
                          const fs::path& work, const EvaluationProgressFunction& progress,
                          std::stop_token stop) {
  check_network(network, reference);
  check_evaluation(pipeline, network, data_info(reference), policies, options, work);
  EvaluationReport report;
  with_our_errors("try a smaller batch size, or fewer images", [&] {
    report = Comparison(pipeline, network, reference, policies, options, work, progress,
                        std::move(stop))();
  });
  return report;
}

}  // namespace l2c
