// What eval and sweep have in common: what is measured, with what, and how.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "console.h"
#include "l2c/evaluation/evaluator.h"
#include "l2c/evaluation/reference_source.h"
#include "l2c/sampling/pipeline.h"

namespace l2c::cli {

struct EvaluatingOptions {
  std::string model;
  LoadOptions load;
  std::string classifier;
  std::string inception;
  std::string inception_input = "pytorch-fid";
  std::string data;
  std::string reference;
  std::string split = "test or all";
  int steps = 20;
  std::optional<int> threads;
  EvaluationOptions evaluation;
};
// --model to --split. None is required: check_evaluating() says what is missing.
void add_subject_options(CLI::App& app, EvaluatingOptions& options);
// --images to --threads. `seeds`: what is done with them, after "comma separated; ".
void add_run_options(CLI::App& app, EvaluatingOptions& options, const std::string& seeds);

// After parsing: what the evaluation's own options say.
void settle(EvaluatingOptions& options);

// Throws InputError without --model.
void check_model(const EvaluatingOptions& options);
// Options that are missing, or that exclude each other. Throws InputError.
void check_evaluating(const EvaluatingOptions& options);

// The options as a shell takes them. "--model M --dtype bf16": how to load the model.
std::string model_text(const EvaluatingOptions& options);
// The same with network and real images.
std::string subject_text(const EvaluatingOptions& options);
// "--images 1000 ... --threads 1".
std::string run_text(const EvaluatingOptions& options, const std::vector<std::uint64_t>& seeds);

// What is loaded. Throws InputError: files, and what does not fit together.
struct Subject {
  std::shared_ptr<const FeatureNetwork> network;
  Pipeline pipeline;
  ReferenceSource source;
};
Subject load_subject(const EvaluatingOptions& options);

// Measured, or as it is kept in `work`.
ReferenceStatistics reference_of(const Subject& subject, const EvaluatingOptions& options,
                                 const std::string& work, TenthLines& lines, std::stop_token stop);

// A line of progress, on standard error; an evaluation takes long enough to be left alone with
// its log.
void show(TenthLines& lines, const EvaluationProgress& progress);

}  // namespace l2c::cli
