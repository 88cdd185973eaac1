// What a sweep says of its circumstances.
#pragma once

#include <string>

#include "l2c/evaluation/evaluator.h"
#include "l2c/sweep/record.h"

namespace l2c {

// As an evaluation's report has them, without the seeds.
struct EvaluationFacts {
  SweepFacts settings{}, machine{}, fingerprints{};
};
EvaluationFacts facts_of(const Pipeline& pipeline, const FeatureNetwork& network,
                         const ReferenceStatistics& reference, const EvaluationOptions& options,
                         const std::string& device);

// 32 hex digits of all names and texts.
std::string key_of(const SweepFacts& facts);

}  // namespace l2c
