#include "l2c/sweep/sweep.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <system_error>
#include <utility>

#include "facts.h"
#include "l2c/core/error.h"
#include "l2c/core/html.h"
#include "l2c/core/log.h"
#include "l2c/evaluation/sample_set.h"
#include "l2c/io/file.h"
#include "l2c/sampling/contact_sheet.h"
#include "l2c/sweep/choice.h"
#include "l2c/sweep/files.h"
#include "l2c/sweep/grid.h"
#include "points.h"

namespace l2c {

namespace fs = std::filesystem;

namespace {

// Of a ScatterChart: more would be refused when all is measured.
constexpr std::size_t most_points = 1000;
// So that a picture of them stays one that can be written and looked at.
constexpr int most_images_shown = 200;

EvaluationOptions with_seeds(const SweepOptions& options, const std::vector<std::uint64_t>& seeds) {
  auto evaluation = options.evaluation;
  evaluation.seeds = seeds;
  return evaluation;
}

void check_seeds(const SweepOptions& options) {
  const auto& choosing = options.evaluation.seeds;
  if (choosing.empty()) throw InputError("no seeds to choose by: give at least one");
  if (options.reporting_seeds.empty()) throw InputError("no seeds to report: give at least one");
  for (const auto seed : options.reporting_seeds) {
    if (std::find(choosing.begin(), choosing.end(), seed) == choosing.end()) continue;
    throw InputError(fmt::format(
        "seed {} is to choose and to report: numbers by which something was chosen flatter it, so "
        "give seeds to report that are not among those to choose",
        seed));
  }
}

void check_points(const std::vector<PolicySpec>& specs) {
  if (specs.empty() || specs.front().identity != "compute all" || specs.front().steps) {
    throw InputError("a sweep's first point is \"full\": all others are compared with it");
  }
  if (specs.size() <= most_points) return;
  throw InputError(
      fmt::format("{} points: at most {}; give fewer policies, thresholds or recalls, in several "
                  "sweeps",
                  specs.size(), most_points));
}

class Sweep {
 public:
  Sweep(const Pipeline& pipeline, const FeatureNetwork& network,
        const ReferenceStatistics& reference, const std::vector<PolicySpec>& specs,
        const SweepOptions& options, const fs::path& work,
        const EvaluationProgressFunction& progress, std::stop_token stop)
      : pipeline_(pipeline),
        network_(network),
        reference_(reference),
        specs_(specs),
        options_(options),
        facts_(facts_of(pipeline, network, reference, options.evaluation, options.device)),
        work_(work),
        progress_(progress),
        stop_(std::move(stop)) {}

  SweepRecord operator()() {
    SweepRecord record{.command = options_.command,
                       .model = pipeline_.summary().architecture,
                       .images = options_.evaluation.images,
                       .choosing_seeds = options_.evaluation.seeds,
                       .reporting_seeds = options_.reporting_seeds,
                       .settings = facts_.settings,
                       .machine = facts_.machine,
                       .fingerprints = facts_.fingerprints,
                       .images_shown = static_cast<int>(std::min<std::int64_t>(
                           options_.images_shown, options_.evaluation.images)),
                       .points = chosen_by(),
                       .recommendations = {}};
    describe(record);
    choose(record);
    report(record);
    describe_measuring(record);
    return record;
  }

 private:
  // The points as measured on the choosing seeds: kept ones, where nothing changed since.
  std::vector<SweepPoint> chosen_by() {
    const auto file = work_ / fmt::format("choosing-{}.json", choosing_key());
    std::error_code absent;
    if (fs::exists(file, absent)) {
      try {
        auto kept = load_sweep(file);
        if (kept.points.size() == specs_.size()) return std::move(kept.points);
      } catch (const InputError& error) {
        log::warning(fmt::format("{}; it is measured again", error.what()));
      }
    }
    const auto evaluation = evaluated("choosing", specs_, options_.evaluation);
    SweepRecord measured;
    measured.points = points_of(evaluation, pipeline_.cost());
    io::AtomicFile written(file);
    written.write(sweep_json(measured));
    written.commit();
    return std::move(measured.points);
  }

  [[nodiscard]] std::string choosing_key() const {
    SweepFacts facts;
    for (const auto* some : {&facts_.settings, &facts_.machine, &facts_.fingerprints}) {
      facts.insert(facts.end(), some->begin(), some->end());
    }
    facts.emplace_back("seeds", fmt::format("{}", fmt::join(options_.evaluation.seeds, ",")));
    for (const auto& spec : specs_) {
      facts.emplace_back(spec.text, spec.identity + fmt::format(" {}", spec.steps.value_or(0)));
    }
    return key_of(facts);
  }

  EvaluationReport evaluated(const char* purpose, const std::vector<PolicySpec>& specs,
                             const EvaluationOptions& options) {
    return evaluate(
        pipeline_, network_, reference_, specs, options, work_,
        [&](EvaluationProgress progress) {
          progress.doing = fmt::format("{}: {}", purpose, progress.doing);
          if (progress_) progress_(progress);
        },
        stop_);
  }

  void describe(SweepRecord& record) const {
    for (std::size_t k = 0; k < specs_.size(); ++k) {
      const PolicySpec& spec = specs_[k];
      SweepPoint& point = record.points[k];
      point.policy = spec.text;
      if (options_.use) point.use = options_.use(spec);
      auto request = options_.evaluation.request;
      if (spec.steps) {
        request.steps = spec.steps;
        request.spacing.clear();
      }
      request.cache = spec.policy;
      request.labels = {0};
      point.plan = pipeline_.plan(request);
    }
  }

  // With the seeds whose numbers are shown.
  void describe_measuring(SweepRecord& record) const {
    if (!options_.reproduce) return;
    for (std::size_t k = 0; k < specs_.size(); ++k) {
      SweepPoint& point = record.points[k];
      point.reproduce = options_.reproduce(
          specs_[k], point.reporting ? record.reporting_seeds : record.choosing_seeds);
    }
  }

  void choose(SweepRecord& record) const {
    std::vector<CostAndLoss> measured;
    for (auto& point : record.points) {
      point.on_front = false;
      measured.push_back({.cost = 1 / point.choosing.speedup, .loss = point.choosing.frechet.mean});
    }
    for (const auto number : pareto_front(measured)) record.points[number].on_front = true;
    for (const auto& budget : options_.budgets) {
      record.recommendations.push_back(recommend(record.points, budget));
    }
  }

  void report(SweepRecord& record) {
    std::set<std::size_t> numbers{0};
    for (std::size_t k = 0; k < specs_.size(); ++k) {
      if (record.points[k].on_front) numbers.insert(k);
    }
    for (const auto& found : record.recommendations) {
      if (found.point) numbers.insert(*found.point);
    }
    std::vector<PolicySpec> specs;
    for (const auto number : numbers) specs.push_back(specs_[number]);
    const auto options = with_seeds(options_, options_.reporting_seeds);
    const auto reported = points_of(evaluated("reporting", specs, options), pipeline_.cost());
    std::size_t next = 0;
    for (const auto number : numbers) {
      SweepPoint& point = record.points[number];
      point.reporting = reported[next++].choosing;
      point.images = picture(specs_[number], options, record.images_shown);
    }
  }

  // The first images of the first seed. Asked for in whole shards, so that they are those that are
  // there, and the rest of the set is not read.
  [[nodiscard]] std::string picture(const PolicySpec& spec, EvaluationOptions options,
                                    int count) const {
    constexpr int columns = 10;
    const std::int64_t shard =
        std::int64_t{options.request.batch_size} * SampleSetOptions{}.batches_per_shard;
    options.images = std::min(options.images, (count + shard - 1) / shard * shard);
    const auto set =
        evaluated_samples(pipeline_, spec, options.seeds.front(), options, work_, {}, stop_);
    return base64(io::encode_png(contact_sheet(first_images(set, count), columns)));
  }

  const Pipeline& pipeline_;
  const FeatureNetwork& network_;
  const ReferenceStatistics& reference_;
  const std::vector<PolicySpec>& specs_;
  const SweepOptions& options_;
  const EvaluationFacts facts_;
  const fs::path& work_;
  const EvaluationProgressFunction& progress_;
  std::stop_token stop_;
};

}  // namespace

void check_sweep(const Pipeline& pipeline, const FeatureNetwork& network, const DataInfo& data,
                 const std::vector<PolicySpec>& specs, const SweepOptions& options,
                 const fs::path& work) {
  check_seeds(options);
  for (const auto& budget : options.budgets) check_budget(budget);
  if (options.images_shown < 1 || options.images_shown > most_images_shown) {
    throw InputError(
        fmt::format("{} images to show: give 1 to {}", options.images_shown, most_images_shown));
  }
  check_points(specs);
  // All seeds at once: each check reads what is there of the images.
  auto seeds = options.evaluation.seeds;
  seeds.insert(seeds.end(), options.reporting_seeds.begin(), options.reporting_seeds.end());
  check_evaluation(pipeline, network, data, specs, with_seeds(options, seeds), work);
}

SweepRecord sweep(const Pipeline& pipeline, const FeatureNetwork& network,
                  const ReferenceStatistics& reference, const std::vector<PolicySpec>& specs,
                  const SweepOptions& options, const fs::path& work,
                  const EvaluationProgressFunction& progress, std::stop_token stop) {
  check_sweep(pipeline, network, data_info(reference), specs, options, work);
  return Sweep(pipeline, network, reference, specs, options, work, progress, std::move(stop))();
}

}  // namespace l2c
