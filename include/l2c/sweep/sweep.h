// Many ways to run one model, measured, chosen among and measured again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "l2c/datasets/dataset.h"
#include "l2c/evaluation/evaluator.h"
#include "l2c/sweep/record.h"

namespace l2c {

struct SweepOptions {
  EvaluationOptions evaluation{};  // with the seeds to choose by
  std::vector<std::uint64_t> reporting_seeds{3, 4, 5};
  std::vector<SweepBudget> budgets{};
  // Of each point that is reported on, 1 ... 200; at most the evaluation's images.
  int images_shown = 20;
  // Where the pipeline is, for people, and so that what was timed elsewhere is not taken for it.
  std::string device = "cpu";
  // For people: how the sweep was made, how to sample with a point, and how to measure it (and
  // computing everything) again with the seeds whose numbers are shown. The functions may be empty.
  std::string command{};
  std::function<std::string(const PolicySpec&)> use{};
  std::function<std::string(const PolicySpec&, const std::vector<std::uint64_t>&)> reproduce{};
};

// Throws the InputError with which sweep() would be refused: what check_evaluation() refuses for
// either set of seeds, a seed in both, a first point that is not "full", more than 1000 points,
// budgets and images_shown outside their range. Makes nothing.
void check_sweep(const Pipeline& pipeline, const FeatureNetwork& network, const DataInfo& data,
                 const std::vector<PolicySpec>& specs, const SweepOptions& options,
                 const std::filesystem::path& work);

// Evaluates all specs (of expand()) on the choosing seeds; chooses the Pareto front of Frechet
// distance against measured speed-up and the recommendations by them; evaluates computing
// everything, the front and what is recommended on the reporting seeds. What was measured on the
// choosing seeds is kept below `work`, as the images are: the same call, after whatever ended the
// one before, goes on. Throws as check_sweep() and evaluate() do; Cancelled; RunError where
// computing everything has a Frechet distance of 0, of which there is no percentage.
SweepRecord sweep(const Pipeline& pipeline, const FeatureNetwork& network,
                  const ReferenceStatistics& reference, const std::vector<PolicySpec>& specs,
                  const SweepOptions& options, const std::filesystem::path& work,
                  const EvaluationProgressFunction& progress = {}, std::stop_token stop = {});

}  // namespace l2c
