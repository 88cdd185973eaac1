#include "evaluator_requests.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "l2c/core/hash.h"
#include "l2c/sampling/planning.h"

namespace l2c {

namespace {

// Names as folders: what is no letter, digit, '.' or '@' becomes '-'. Policies of one name (of
// files in different places, say) are told apart by what they are; of those that compute everything
// the name says all.
std::string folder_name(const PolicySpec& spec) {
  std::string name = spec.name;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '.' && c != '@') c = '-';
  }
  if (!spec.reuses) return name;
  Hash hash;
  hash.text(spec.identity);
  return fmt::format("{}-{:.8}", name, hash.hex());
}

}  // namespace

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
  request.seeds.clear();
  request.initial_noise.reset();
  return request;
}

int steps_of(const Request& request) {
  return static_cast<int>(plan_shape(1, request.spacing, request.steps, "").evaluations.size());
}

SampleSetOptions sample_set_of(const PolicySpec& spec, std::uint64_t seed,
                               const EvaluationOptions& options) {
  SampleSetOptions sampling{.request = request_of(spec, options),
                            .policy = spec.identity,
                            .images = options.images,
                            .device = options.device,
                            .share = options.share};
  sampling.request.seed = seed;
  return sampling;
}

std::filesystem::path folder_of(const PolicySpec& spec, std::uint64_t seed,
                                const std::filesystem::path& work) {
  return work / folder_name(spec) / fmt::format("seed-{}", seed);
}

bool is_baseline(const PolicySpec& spec, const EvaluationOptions& options) {
  if (spec.reuses) return false;
  const auto request = request_of(spec, options);
  const auto own = plan_shape(1, request.spacing, request.steps, "");
  const auto all = plan_shape(1, options.request.spacing, options.request.steps, "");
  return own.evaluations.size() == all.evaluations.size() && own.spacing == all.spacing;
}

std::int64_t timing_batch(const EvaluationOptions& options) {
  return std::min<std::int64_t>(options.request.batch_size, options.images);
}

std::vector<Request> timing_requests(const std::vector<PolicySpec>& policies,
                                     const EvaluationOptions& options, int num_classes) {
  std::vector<Request> requests{request_of(parse_policy_spec("full"), options)};
  for (const auto& spec : policies) {
    if (!is_baseline(spec, options)) requests.push_back(request_of(spec, options));
  }
  for (auto& request : requests) {
    for (std::int64_t i = 0; i < timing_batch(options); ++i) {
      request.labels.push_back(static_cast<int>(i % num_classes));
    }
    request.seed = options.seeds.front();
  }
  return requests;
}

}  // namespace l2c
