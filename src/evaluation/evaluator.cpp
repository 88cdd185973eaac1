#include "l2c/evaluation/evaluator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cmath>
#include <numeric>
#include <set>
#include <utility>

#include "l2c/core/build_info.h"
#include "l2c/core/error.h"
#include "l2c/sampling/planning.h"

namespace l2c {

namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

int steps_of(const Request& request) {
  return static_cast<int>(plan_shape(1, request.spacing, request.steps, "").evaluations.size());
}

Request request_of(const PolicySpec& spec, const EvaluationOptions& options) {
  Request request = options.request;
  if (spec.steps) {
    request.steps = spec.steps;
    request.spacing.clear();
  }
  request.cache = spec.policy;
  request.labels.clear();
  request.per_class = 1;
  request.first_image = 0;
  request.initial_noise.reset();
  return request;
}

void check_sizes(const EvaluationOptions& options) {
  if (options.seeds.empty()) throw InputError("no seeds: give at least one");
  std::set<std::uint64_t> seeds;
  for (const auto seed : options.seeds) {
    if (!seeds.insert(seed).second) {
      throw InputError(
          fmt::format("seed {} is given twice: its images would count as two samples", seed));
    }
  }
  if (options.images <= options.quality.neighbour) {
    throw InputError(
        fmt::format("{} images: give at least {}", options.images, options.quality.neighbour + 1));
  }
  if (options.timing_rounds < 1) {
    throw InputError(fmt::format("{} rounds of timing: give at least 1", options.timing_rounds));
  }
}

void check_reference(const ModelSummary& model, const ReferenceStatistics& reference) {
  if (model.channels == reference.channels && model.size == reference.image_size &&
      model.num_classes == reference.num_classes) {
    return;
  }
  throw InputError(fmt::format(
      "{} makes images with {} channels of {} x {} in {} classes, the reference ({}) "
      "has {} of {} x {} in {}: compare with data of the same kind",
      model.architecture, model.channels, model.size, model.size, model.num_classes, reference.data,
      reference.channels, reference.image_size, reference.image_size, reference.num_classes));
}

// Names as folders: what is no letter, digit, '.' or '@' becomes '-'. Routers of the same name are
// told apart by their fingerprint.
std::string folder_name(const PolicySpec& spec) {
  std::string name = spec.name;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '.' && c != '@') c = '-';
  }
  if (spec.router_fingerprint.empty()) return name;
  return fmt::format("{}-{:.8}", name, spec.router_fingerprint);
}

std::vector<double> column(const std::vector<SeedResult>& seeds, double Quality::*number) {
  std::vector<double> values;
  for (const auto& seed : seeds) values.push_back(seed.quality.*number);
  return values;
}

void summarize(PolicyResult& result) {
  const auto& seeds = result.seeds;
  result.frechet = spread(column(seeds, &Quality::frechet));
  result.kid = spread(column(seeds, &Quality::kid));
  result.precision = spread(column(seeds, &Quality::precision));
  result.recall = spread(column(seeds, &Quality::recall));
  result.inception_score = spread(column(seeds, &Quality::inception_score));
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
    check();
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
  // Everything that can be refused is refused before the work.
  void check() const {
    check_sizes(options_);
    check_reference(pipeline_.summary(), reference_);
    if (policies_.empty()) throw InputError("no policies: give at least one");
    std::set<std::pair<std::string, int>> seen;
    for (const auto& spec : policies_) {
      auto request = request_of(spec, options_);
      request.labels = {0};
      (void)pipeline_.plan(request);
      if (!seen.emplace(spec.identity, steps_of(request)).second) {
        throw InputError(fmt::format(
            "policy \"{}\" is the same run as one before it: give each once", spec.text));
      }
    }
  }

  PolicyResult policy_result(const PolicySpec& spec) {
    PolicyResult result;
    result.spec = spec;
    SampleSetOptions sampling{
        .request = request_of(spec, options_), .policy = spec.identity, .images = options_.images};
    for (const auto seed : options_.seeds) {
      sampling.request.seed = seed;
      const auto set = sample(spec, sampling);
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

  SampleSet sample(const PolicySpec& spec, const SampleSetOptions& sampling) {
    const auto folder = work_ / folder_name(spec) / fmt::format("seed-{}", sampling.request.seed);
    const auto doing = fmt::format("{}, seed {}", spec.name, sampling.request.seed);
    return SampleSet::sample(
        pipeline_, sampling, folder,
        [&](const SampleSetProgress& progress) {
          report(doing, progress.images, progress.of, progress.elapsed_seconds);
        },
        stop_);
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
    std::vector<Request> requests{request_of(parse_policy_spec("full"), options_)};
    for (const auto& spec : policies_) requests.push_back(request_of(spec, options_));
    for (auto& request : requests) {
      for (int i = 0; i < request.batch_size; ++i) {
        request.labels.push_back(i % pipeline_.summary().num_classes);
      }
      request.seed = options_.seeds.front();
    }
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
  if (values.size() == 1) return {.mean = mean, .deviation = 0};
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {.mean = mean, .deviation = std::sqrt(squares / (count - 1))};
}

EvaluationReport evaluate(const Pipeline& pipeline, const FeatureNetwork& network,
                          const ReferenceStatistics& reference,
                          const std::vector<PolicySpec>& policies, const EvaluationOptions& options,
                          const fs::path& work, const EvaluationProgressFunction& progress,
                          std::stop_token stop) {
  return Comparison(pipeline, network, reference, policies, options, work, progress,
                    std::move(stop))();
}

}  // namespace l2c
