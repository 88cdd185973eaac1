// What a comparison runs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "l2c/evaluation/evaluator.h"

namespace l2c {

// The options' request as `spec` wants it, without labels.
Request request_of(const PolicySpec& spec, const EvaluationOptions& options);

int steps_of(const Request& request);

// One sample set, and the folder below `work` that it is kept in.
SampleSetOptions sample_set_of(const PolicySpec& spec, std::uint64_t seed,
                               const EvaluationOptions& options);
std::filesystem::path folder_of(const PolicySpec& spec, std::uint64_t seed,
                                const std::filesystem::path& work);

// Whether the policy is what all are timed against: everything computed, in the options' steps.
bool is_baseline(const PolicySpec& spec, const EvaluationOptions& options);

// The baseline first, then the policies that are another run: one batch each, as sampling has it.
std::vector<Request> timing_requests(const std::vector<PolicySpec>& policies,
                                     const EvaluationOptions& options, int num_classes);

}  // namespace l2c
