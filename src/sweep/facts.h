// What a sweep says of its circumstances.
#pragma once

#include <string>

#include "l2c/evaluation/evaluator.h"
#include "l2c/sweep/record.h"

namespace l2c {

SweepFacts settings_facts(const EvaluationOptions& options);
SweepFacts machine_facts();
SweepFacts fingerprint_facts(const Pipeline& pipeline, const FeatureNetwork& network,
                             const ReferenceStatistics& reference);

// 32 hex digits of all names and texts.
std::string key_of(const SweepFacts& facts);

// What check_evaluation() knows of the data, from what is kept of them.
DataInfo data_of(const ReferenceStatistics& reference);

}  // namespace l2c
