// l2c eval: cache policies compared by quality, time and memory.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arguments.h"
#include "commands.h"
#include "console.h"
#include "interrupt.h"
#include "l2c/core/build_info.h"
#include "l2c/datasets/dataset.h"
#include "l2c/evaluation/classifier.h"
#include "l2c/evaluation/evaluator.h"
#include "l2c/evaluation/report.h"
#include "l2c/io/file.h"
#include "report.h"

namespace l2c::cli {

namespace {

struct EvalOptions {
  std::string model;
  LoadOptions load;
  std::string classifier;
  std::string data;
  std::string split = "test or all";
  std::vector<std::string> policies;
  int steps = 20;
  std::string work;
  std::string out;
  std::optional<int> threads;
  EvaluationOptions evaluation;
};

// An evaluation takes long enough to be left alone with its log.
void show(TenthLines& lines, const EvaluationProgress& progress) {
  if (!lines.due(progress.doing, progress.done, progress.of)) return;
  stderr_stream() << fmt::format("{}: {} of {}, {:.1f} s\n", progress.doing, progress.done,
                                 progress.of, progress.elapsed_seconds);
}

// The command that does the same, for the report.
std::string command_text(const EvalOptions& o) {
  const auto& e = o.evaluation;
  auto text = fmt::format("l2c eval --model {}", quoted(o.model));
  if (!o.load.architecture.empty()) text += fmt::format(" --arch {}", quoted(o.load.architecture));
  std::vector<std::string> policies;
  for (const auto& policy : o.policies) policies.push_back(quoted(policy));
  const auto split = o.split == "test or all" ? std::string() : fmt::format(" --split {}", o.split);
  text += fmt::format(
      " --classifier {} --data {}{} --policy {} --images {} --seeds {} --steps {} "
      "--cfg-scale {} --batch-size {} --rounds {} --threads {} --work {} --out {}",
      quoted(o.classifier), quoted(o.data), split, fmt::join(policies, " "), e.images,
      fmt::join(e.seeds, ","), o.steps, e.request.guidance, e.request.batch_size, e.timing_rounds,
      build_info().threads, quoted(o.work), quoted(o.out));
  return text;
}

void eval(EvalOptions options) {
  options.evaluation.request.steps = options.steps;
  io::check_writable(options.out);
  const Interrupt interrupt;
  if (options.threads) set_threads(*options.threads);
  std::vector<PolicySpec> policies;
  for (const auto& text : options.policies) policies.push_back(parse_policy_spec(text));
  const auto classifier = load_classifier(options.classifier);
  const auto pipeline = Pipeline::load(options.model, options.load);
  const auto data = open_data(options.data, {.split = options.split,
                                             .image_size = pipeline.summary().size,
                                             .channels = pipeline.summary().channels});
  check_evaluation(pipeline, *classifier, data->info(), policies, options.evaluation, options.work);
  TenthLines lines;
  const auto reference = kept_reference(
      options.work, *data, *classifier, {},
      [&](std::int64_t done, std::int64_t of) {
        show(lines, {.doing = "reference", .done = done, .of = of, .elapsed_seconds = 0});
      },
      interrupt.token());
  const auto report = evaluate(
      pipeline, *classifier, reference, policies, options.evaluation, options.work,
      [&](const EvaluationProgress& progress) { show(lines, progress); }, interrupt.token());
  write_text(options.out, report_json(report, command_text(options)));
  say(report_table(report));
  say(fmt::format("compared with {}\nwrote {}", reference.data, options.out));
}

void add_inputs(CLI::App& app, EvalOptions& options) {
  app.add_option("--model", options.model, "checkpoint of a model of pixels")->required();
  app.add_option("--arch", options.load.architecture,
                 "a preset's name or a JSON file (default: the model file's own metadata)");
  app.add_option("--classifier", options.classifier,
                 "what train-classifier wrote: gives features and judges labels")
      ->required();
  app.add_option("--data", options.data,
                 "real images to compare with: an MNIST-like folder, a folder of class folders, or "
                 "a .safetensors file")
      ->required();
  app.add_option("--split", options.split,
                 "of an MNIST-like folder: train or test (default: test; all of other data)")
      ->check(CLI::IsMember({"train", "test"}));
}

void add_runs(CLI::App& app, EvalOptions& options) {
  EvaluationOptions& evaluation = options.evaluation;
  app.add_option("--policy", options.policies,
                 "what to compare, one or more: full, steps:N, every:N, router:FILE, "
                 "router:FILE@THRESHOLD, first-block:THRESHOLD, teacache:THRESHOLD, "
                 "delta-dit:INTERVAL")
      ->required();
  app.add_option("--images", evaluation.images, "images of a policy and seed")
      ->capture_default_str();
  app.add_option("--seeds", evaluation.seeds, "comma separated; numbers are means over them")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--steps", options.steps, "denoising steps, but for steps:N")
      ->capture_default_str();
  app.add_option("--cfg-scale", evaluation.request.guidance,
                 "classifier-free guidance; 1 switches it off")
      ->capture_default_str();
  app.add_option("--batch-size", evaluation.request.batch_size, "images at a time")
      ->capture_default_str();
  app.add_option("--rounds", evaluation.timing_rounds,
                 "how often one batch of every policy is timed, in turn")
      ->capture_default_str();
  app.add_option("--threads", options.threads, "CPU threads (default: all cores)");
}

}  // namespace

void add_eval(CLI::App& app) {
  auto* command = app.add_subcommand(
      "eval",
      "Compare cache policies by image quality, time and memory. Stopped or killed, it goes on "
      "from the finished images when started again.");
  auto options = std::make_shared<EvalOptions>();
  options->evaluation.seeds = {0, 1, 2};
  options->evaluation.request.batch_size = 50;
  add_inputs(*command, *options);
  add_runs(*command, *options);
  command->add_option("--work", options->work, "folder for images and reference statistics")
      ->required();
  command->add_option("--out", options->out, "the report: a JSON file")->required();
  command->footer(
      "Example:\n"
      "  l2c eval --model dit.safetensors --classifier classifier.safetensors \\\n"
      "    --data /usr/share/datasets/fashion-mnist --cfg-scale 1.5 --threads 1 \\\n"
      "    --policy full steps:14 every:2 router:router20.safetensors@0.5 \\\n"
      "    --work eval-images --out eval.json");
  command->callback([options] { eval(*options); });
}

}  // namespace l2c::cli
