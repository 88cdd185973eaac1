// All that an evaluation refuses, before its work.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "evaluator_requests.h"
#include "features.h"
#include "l2c/core/error.h"
#include "l2c/core/torch_errors.h"
#include "l2c/evaluation/evaluator.h"

namespace l2c {

namespace {

void check_seeds(const EvaluationOptions& options) {
  if (options.seeds.empty()) throw InputError("no seeds: give at least one");
  std::set<std::uint64_t> seeds;
  for (const auto seed : options.seeds) {
    if (!seeds.insert(seed).second) {
      throw InputError(
          fmt::format("seed {} is given twice: its images would count as two samples", seed));
    }
  }
}

void check_numbers(const EvaluationOptions& options, const DataInfo& data) {
  const int neighbour = options.quality.neighbour;
  if (neighbour < 1) {
    throw InputError(
        fmt::format("neighbour {} for precision and recall: give at least 1", neighbour));
  }
  if (options.images <= neighbour) {
    throw InputError(fmt::format("{} images: give at least {}", options.images, neighbour + 1));
  }
  // No size: statistics without images.
  if (data.size > 0 && data.size <= neighbour) {
    throw InputError(fmt::format("{}: {} images to compare with; at least {} are needed",
                                 data.description, data.size, neighbour + 1));
  }
  check_kid_images(options.quality);
  (void)inception_blocks(options.images, options.quality);
  if (options.timing_rounds < 1) {
    throw InputError(fmt::format("{} rounds of timing: give at least 1", options.timing_rounds));
  }
}

// Classes count where the network judges labels; unknown images are taken as they are.
void check_kind(const ModelSummary& model, const DataInfo& data, bool labels) {
  const bool same_images =
      data.image_size == 0 || (model.channels == data.channels && model.size == data.image_size);
  if (same_images && (!labels || model.num_classes == data.num_classes)) return;
  throw InputError(fmt::format(
      "{} makes images with {} channels of {} x {} in {} classes, the reference ({}) "
      "has {} of {} x {} in {}: compare with data of the same kind",
      model.architecture, model.channels, model.size, model.size, model.num_classes,
      data.description, data.channels, data.image_size, data.image_size, data.num_classes));
}

void check_policies(const std::vector<PolicySpec>& policies, const EvaluationOptions& options) {
  if (policies.empty()) throw InputError("no policies: give at least one");
  std::set<std::pair<std::string, int>> seen;
  for (const auto& spec : policies) {
    if (!seen.emplace(spec.identity, steps_of(request_of(spec, options))).second) {
      throw InputError(
          fmt::format("policy \"{}\" is the same run as one before it: give each once", spec.text));
    }
  }
}

}  // namespace

void check_samples(const Pipeline& pipeline, const std::vector<PolicySpec>& policies,
                   const EvaluationOptions& options, const std::filesystem::path& work) {
  check_seeds(options);
  check_policies(policies, options);
  for (const auto& spec : policies) {
    for (const auto seed : options.seeds) {
      SampleSet::check(pipeline, sample_set_of(spec, seed, options), folder_of(spec, seed, work));
    }
  }
}

void check_evaluation(const Pipeline& pipeline, const FeatureNetwork& network, const DataInfo& data,
                      const std::vector<PolicySpec>& policies, const EvaluationOptions& options,
                      const std::filesystem::path& work) {
  check_numbers(options, data);
  const auto& model = pipeline.summary();
  check_kind(model, data, network.knows_labels());
  check_samples(pipeline, policies, options, work);
  for (const auto& request : timing_requests(policies, options, model.num_classes)) {
    (void)pipeline.plan(request);
  }
  with_our_errors("close other programs, or take a smaller feature network", [&] {
    const auto gray = at::zeros({1, model.channels, model.size, model.size});
    (void)extract_features(network, gray, model.num_classes);
  });
}

}  // namespace l2c
