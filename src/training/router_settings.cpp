#include "router_settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <string>
#include <vector>

#include "environment.h"
#include "l2c/cache/recall.h"
#include "l2c/cache/router.h"
#include "l2c/core/error.h"
#include "l2c/diffusion/schedule.h"
#include "utf8.h"

namespace l2c {

namespace {

// Three times as many still fit into 64 bits.
constexpr std::int64_t most_iterations = 1'000'000'000'000;

void need(bool good, const std::string& option, double value, const std::string& allowed) {
  if (good) return;
  throw InputError(fmt::format("{} {}: give {}", option, value, allowed));
}

void need_count(const std::string& option, std::int64_t value) {
  if (value >= 1) return;
  throw InputError(fmt::format("{} {}: give at least 1", option, value));
}

bool positive(double value) { return value > 0 && std::isfinite(value); }
bool share(double value) { return value >= 0 && value <= 1; }

void check_schedule(const RouterTrainingOptions& options) {
  const int steps = make_schedule(options.spacing).steps();
  if (steps >= 2) return;
  throw InputError(
      fmt::format("spacing \"{}\" has {} step: a router needs at least 2, one to store and one to "
                  "reuse in",
                  options.spacing, steps));
}

// Nothing could ever be reused.
void check_threshold_and_clamp(const RouterTrainingOptions& options) {
  const double lowest = 1 / (1 + std::exp(options.clamp));
  if (options.threshold >= lowest) return;
  throw InputError(fmt::format(
      "threshold {}: with logits cut to {} no score is below {:.4g}, so that nothing would be "
      "reused; raise the threshold or the clamp",
      options.threshold, -options.clamp, lowest));
}

// Those of one objective are refused with the other: they would do nothing.
void check_objective(const RouterTrainingOptions& options) {
  need(options.group == 0 || options.group >= 2, "group", options.group, "0, or at least 2");
  need(std::isfinite(options.guidance), "guidance", options.guidance, "a finite number");
  if (options.trajectory) {
    if (options.flip) throw InputError("flip: training on whole runs has no images to mirror");
    return;
  }
  const auto refuse = [](const char* option) {
    throw InputError(fmt::format("{}: only training on whole runs (trajectory) has it", option));
  };
  if (options.recall != "latest") refuse("recall");
  if (options.group != 2) refuse("group");
  if (options.hard) refuse("hard decisions");
  if (options.guidance != 1) refuse("guidance");
}

void check_lambda(const RouterTrainingOptions& options) {
  if (options.lambda) {
    need(*options.lambda >= 0 && std::isfinite(*options.lambda), "lambda", *options.lambda,
         "a number of at least 0");
  }
  if (!options.target_speedup) return;
  if (options.lambda) {
    throw InputError("a target speed-up chooses lambda: give one of the two");
  }
  need(*options.target_speedup > 1 && std::isfinite(*options.target_speedup), "target speed-up",
       *options.target_speedup, "a number above 1");
}

}  // namespace

void check_options(const RouterTrainingOptions& options) {
  check_schedule(options);
  need(options.iterations >= 1 && options.iterations <= most_iterations, "iterations",
       static_cast<double>(options.iterations), "1 ... 10^12");
  need_count("batch size", options.batch_size);
  need_count("save every", options.save_every);
  need_count("report every", options.report_every);
  need_count("own samples", options.own_samples.count);
  need_count("batch size of own samples", options.own_samples.batch_size);
  need(positive(options.learning_rate), "learning rate", options.learning_rate, "a number above 0");
  need(share(options.label_dropout), "label dropout", options.label_dropout, "0 to 1");
  need(positive(options.clamp), "clamp", options.clamp, "a number above 0");
  need(share(options.threshold), "threshold", options.threshold, "0 to 1");
  need(std::isfinite(options.own_samples.guidance), "guidance of own samples",
       options.own_samples.guidance, "a finite number");
  if (options.dtype != "fp32" && options.dtype != "bf16") {
    throw InputError(fmt::format("dtype \"{}\": give fp32 or bf16", options.dtype));
  }
  check_threshold_and_clamp(options);
  check_objective(options);
  check_lambda(options);
}

void check_model(const RouterTrainingOptions& options, const DenoiserInfo& model, bool has_data) {
  if (model.null_label) return;
  std::vector<std::string> changes;
  if (options.label_dropout > 0) {
    changes.push_back(fmt::format("label dropout to 0 instead of {}", options.label_dropout));
  }
  if (options.trajectory && options.guidance != 1) {
    changes.push_back(
        fmt::format("the guidance scale of the runs to 1 instead of {}", options.guidance));
  }
  if (!options.trajectory && !has_data && options.own_samples.guidance != 1) {
    changes.push_back(fmt::format("the guidance scale of own samples to 1 instead of {}",
                                  options.own_samples.guidance));
  }
  if (changes.empty()) return;
  throw InputError(fmt::format("{} was made without a null label (class_dropout_prob 0): set {}",
                               model.architecture, fmt::join(changes, ", and ")));
}

bool drops_labels(const RouterTrainingOptions& options) {
  // A guided run has the null label in half of its rows.
  const bool guided = options.trajectory && options.guidance != 1;
  return options.label_dropout > 0 && !guided;
}

TrainingSettings settings_of(const RouterTrainingOptions& options, const Denoiser& model,
                             const DataSet* data) {
  TrainingSettings settings;
  settings.add("training", "router");
  settings.add("model", model.info().fingerprint);
  if (!options.initial_router.empty()) {
    settings.add("initial_router", Router::load(options.initial_router).fingerprint());
  }
  if (options.trajectory) {
    settings.add("objective", "trajectory, weighted over time");
    settings.add("recall", parse_recall(options.recall)->identity());
    settings.add("group", std::int64_t{options.group});
    settings.add("hard", options.hard);
    settings.add("guidance", options.guidance);
  } else if (data != nullptr) {
    settings.add("data", data->info().fingerprint);
  } else {
    settings.add("data", "own samples");
    settings.add("own_samples", std::int64_t{options.own_samples.count});
    settings.add("own_guidance", options.own_samples.guidance);
    settings.add("own_batch_size", std::int64_t{options.own_samples.batch_size});
  }
  if (!options.trajectory) settings.add("flip", options.flip);
  settings.add("spacing", options.spacing);
  settings.add("batch_size", std::int64_t{options.batch_size});
  settings.add("learning_rate", options.learning_rate);
  if (options.target_speedup) {
    settings.add("target_speedup", *options.target_speedup);
    settings.add("threshold", options.threshold);
  } else {
    settings.add("lambda", options.lambda.value_or(published_lambda));
  }
  settings.add("label_dropout", options.label_dropout);
  settings.add("clamp", options.clamp);
  settings.add("dtype", options.dtype == "bf16" ? "bf16 autocast" : "fp32");
  settings.add("seed", fmt::format("{}", options.seed));
  settings.add("device", model.device().is_cuda() ? "cuda" : "cpu");
  settings.note("model_description", model.info().architecture);
  if (data != nullptr) settings.note("data_description", data->info().description);
  // Only a target makes the training depend on it.
  if (!options.target_speedup) settings.note("threshold", fmt::format("{}", options.threshold));
  note_environment(settings);
  return settings;
}

std::string describe(const RouterTrainingOptions& options, std::int64_t iterations,
                     const std::string& data) {
  std::string text = fmt::format("{} iterations of {}, learning rate {}, ", iterations,
                                 options.batch_size, options.learning_rate);
  if (options.target_speedup) text += fmt::format("target speed-up {}, ", *options.target_speedup);
  if (options.trajectory) {
    text +=
        fmt::format("whole runs, recall {}, group {}, {} decisions, guidance {}, ", options.recall,
                    options.group, options.hard ? "hard" : "soft", options.guidance);
  }
  return valid_utf8(text + fmt::format("label dropout {}, {}, seed {}, data: {}",
                                       drops_labels(options) ? options.label_dropout : 0,
                                       options.dtype, options.seed, data));
}

}  // namespace l2c
