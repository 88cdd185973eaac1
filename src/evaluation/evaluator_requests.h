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

// Computing everything first, then the policies: one batch each, as sampling has it.
std::vector<Request> timing_requests(const std::vector<PolicySpec>& policies,
                                     const EvaluationOptions& options, int num_classes);

}  // namespace l2c
