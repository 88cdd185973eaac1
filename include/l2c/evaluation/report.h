// An evaluation as JSON and as a table.
#pragma once

#include <string>

#include "l2c/evaluation/evaluator.h"

namespace l2c {

// Indented JSON with every number, each policy's seeds one by one, and the fingerprints of model,
// routers, network, reference data and images. `command`: how it was made, for people.
std::string report_json(const EvaluationReport& report, const std::string& command = "");

// One line a policy: quality with spread, measured and ideal speed-up, memory.
std::string report_table(const EvaluationReport& report);

// The same table from what report_json() gave. Throws InputError, which starts with `where`.
std::string recorded_table(const std::string& json, const std::string& where);

}  // namespace l2c
