// l2c calibrate: SmoothCache schedules and fitted forecasts, from runs with everything computed.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "arguments.h"
#include "commands.h"
#include "console.h"
#include "interrupt.h"
#include "l2c/cache/branch_changes.h"
#include "l2c/cache/fitted_recall.h"
#include "l2c/cache/pricing.h"
#include "l2c/core/build_info.h"
#include "l2c/core/error.h"
#include "l2c/sampling/planning.h"
#include "outputs.h"

namespace l2c::cli {

namespace {

struct CalibrateOptions {
  PipelineOptions pipeline;
  StepOptions step;
  NoiseOptions noise;
  std::vector<int> labels;
  int per_class = 1;
  int batch_size = 16;
  int lookahead = 3;
  std::optional<double> threshold;
  std::optional<int> threads;
  std::string out;
  std::string fit;
};

// The official calibration's number of images.
constexpr int default_label_count = 10;

Request make_request(const CalibrateOptions& options, const ModelSummary& model) {
  Request request = cli::make_request(options.step, options.noise, {});
  request.labels = options.labels;
  request.per_class = options.per_class;
  request.batch_size = options.batch_size;
  if (request.labels.empty()) {
    request.labels.resize(
        static_cast<std::size_t>(std::min(default_label_count, model.num_classes)));
    std::iota(request.labels.begin(), request.labels.end(), 0);
  }
  return request;
}

void check(const CalibrateOptions& options) {
  check_pipeline(options.pipeline);
  if (options.out.empty() && options.fit.empty()) {
    throw InputError(
        "nothing to make: give --out for a SmoothCache schedule, --fit for a forecast");
  }
  if (options.out.empty() != !options.threshold) {
    throw InputError("--out and --threshold belong together: a schedule needs both");
  }
  check_outputs({options.out, options.fit}, inputs_of(options.pipeline));
}

void measure(const Pipeline& pipeline, Request request, std::shared_ptr<const CachePolicy> policy,
             const std::stop_token& stop) {
  ProgressLine line(policy->name());
  request.cache = std::move(policy);
  (void)pipeline.sample(request, [&](const Progress& progress) { line.show(progress); }, stop);
}

void make_schedule(const CalibrateOptions& options, const Pipeline& pipeline,
                   const Request& request, const RunShape& shape, const std::stop_token& stop) {
  BranchChanges changes(static_cast<int>(shape.evaluations.size()), shape.units(),
                        options.lookahead);
  (void)changes.smooth_cache(*options.threshold);  // a bad threshold fails here, before any work
  measure(pipeline, request, std::make_shared<MeasureChanges>(changes), stop);
  const SmoothCache policy(changes.smooth_cache(*options.threshold));
  policy.save(options.out);
  const auto plan = *policy.plan(shape);
  say(fmt::format("reuses {} of {} branches, ideal speed-up {:.3f}x\nwrote {}", plan.reused(),
                  plan.reused() + plan.computed(), price(plan, pipeline.cost()).ideal_speedup,
                  options.out));
}

void fit_forecast(const CalibrateOptions& options, const Pipeline& pipeline, const Request& request,
                  const RunShape& shape, const std::stop_token& stop) {
  BranchProducts products(static_cast<int>(shape.evaluations.size()), shape.units(),
                          {.model_fingerprint = pipeline.summary().fingerprint,
                           .spacing = shape.spacing,
                           .sampler = shape.sampler});
  measure(pipeline, request, std::make_shared<MeasureProducts>(products), stop);
  products.save(options.fit);
  say(fmt::format("wrote {}", options.fit));
}

void calibrate(const CalibrateOptions& options) {
  check(options);
  const Interrupt interrupt;
  if (options.threads) set_threads(*options.threads);
  const auto pipeline = open_pipeline(options.pipeline);
  const Request request = make_request(options, pipeline.summary());
  const auto shape =
      plan_shape(pipeline.summary().blocks, request.spacing, request.steps, options.step.sampler);
  if (!options.out.empty()) make_schedule(options, pipeline, request, shape, interrupt.token());
  if (!options.fit.empty()) fit_forecast(options, pipeline, request, shape, interrupt.token());
}

}  // namespace

void add_calibrate(CLI::App& app) {
  auto* command = app.add_subcommand(
      "calibrate",
      "Measure how a model's branches change from step to step: for SmoothCache schedules, and for "
      "forecasts that are fitted to the model.");
  auto options = std::make_shared<CalibrateOptions>();
  add_pipeline_options(*command, options->pipeline);
  add_step_options(*command, options->step);
  add_noise_options(*command, options->noise);
  command
      ->add_option("--labels", options->labels, "classes, comma separated (default: the first ten)")
      ->delimiter(',');
  command->add_option("--per-class", options->per_class, "images a label")->capture_default_str();
  command->add_option("--batch-size", options->batch_size, "images at a time")
      ->capture_default_str();
  command->add_option("--threshold", options->threshold,
                      "relative change up to which a branch is reused: larger is faster and worse");
  command
      ->add_option("--lookahead", options->lookahead,
                   "how many evaluations in a row may reuse, at most")
      ->capture_default_str();
  command->add_option("--threads", options->threads, "CPU threads (default: all cores)");
  command->add_option("--out", options->out, "a SmoothCache schedule, JSON; needs --threshold");
  command->add_option("--fit", options->fit,
                      "a forecast fitted to this model and these steps, safetensors");
  command->footer(
      "Example:\n"
      "  l2c calibrate --model M --steps 50 --threshold 0.1 --out schedule.json\n"
      "  l2c sample --model M --policy smoothcache:schedule.json --compare\n"
      "  l2c calibrate --model M --steps 50 --per-class 10 --fit forecast.safetensors\n"
      "  l2c sample --model M --steps 50 --cache-every 3 --recall fitted:forecast.safetensors@3");
  command->callback([options] { calibrate(*options); });
}

}  // namespace l2c::cli
