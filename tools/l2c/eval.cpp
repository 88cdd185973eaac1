// l2c eval: cache policies compared by quality, time and memory.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/App.hpp>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "arguments.h"
#include "commands.h"
#include "console.h"
#include "evaluating.h"
#include "interrupt.h"
#include "l2c/core/build_info.h"
#include "l2c/core/error.h"
#include "l2c/evaluation/evaluator.h"
#include "l2c/evaluation/report.h"
#include "l2c/evaluation/sample_set.h"
#include "outputs.h"
#include "report.h"

namespace l2c::cli {

namespace {

struct EvalOptions {
  EvaluatingOptions measured;
  std::vector<std::string> policies;
  std::string work;
  std::string out;
  std::string npz;
  bool samples_only = false;
};

// The command that does the same, for the report.
std::string command_text(const EvalOptions& o) {
  std::vector<std::string> policies;
  for (const auto& policy : o.policies) policies.push_back(quoted(policy));
  auto text =
      fmt::format("l2c eval {} --policy {} {} --work {} --out {}", subject_text(o.measured),
                  fmt::join(policies, " "), run_text(o.measured, o.measured.evaluation.seeds),
                  quoted(o.work), quoted(o.out));
  if (!o.npz.empty()) text += fmt::format(" --npz {}", quoted(o.npz));
  return text + (o.measured.evaluation.share ? " --share" : "");
}

// Options that exclude or need each other.
void check_options(const EvalOptions& o) {
  if (o.samples_only) {
    check_model(o.measured);
    if (!o.out.empty()) {
      throw InputError("--samples-only measures nothing: leave out --out, or that option");
    }
  } else {
    check_evaluating(o.measured);
    if (o.out.empty()) {
      throw InputError("give --out: the file for the report (only --samples-only makes none)");
    }
  }
  if (o.npz.empty()) return;
  const auto& seeds = o.measured.evaluation.seeds;
  if (o.policies.size() != 1 || seeds.size() != 1) {
    throw InputError(fmt::format(
        "--npz writes the images of one policy and one seed, here are {} and {}: run it once for "
        "each; what is in --work is not sampled again",
        o.policies.size(), seeds.size()));
  }
}

// Of the one policy and seed, which are there by now.
void write_samples(const Pipeline& pipeline, const std::vector<PolicySpec>& policies,
                   const EvalOptions& o, const std::stop_token& stop) {
  if (o.npz.empty()) return;
  const EvaluationOptions& evaluation = o.measured.evaluation;
  write_npz(o.npz, evaluated_samples(pipeline, policies.front(), evaluation.seeds.front(),
                                     evaluation, o.work, {}, stop));
  say(fmt::format("wrote {}", o.npz));
}

// The images alone, without a network: for processes that help another, and for other programs.
void sample_only(const std::vector<PolicySpec>& policies, const EvalOptions& o,
                 const std::stop_token& stop) {
  const auto pipeline = Pipeline::load(o.measured.model, o.measured.load);
  const EvaluationOptions& evaluation = o.measured.evaluation;
  check_samples(pipeline, policies, evaluation, o.work);
  TenthLines lines;
  for (const auto& policy : policies) {
    for (const auto seed : evaluation.seeds) {
      (void)evaluated_samples(
          pipeline, policy, seed, evaluation, o.work,
          [&](const EvaluationProgress& progress) { show(lines, progress); }, stop);
    }
  }
  write_samples(pipeline, policies, o, stop);
}

void measure(const std::vector<PolicySpec>& policies, const EvalOptions& o,
             const std::stop_token& stop) {
  const auto subject = load_subject(o.measured);
  check_evaluation(subject.pipeline, *subject.network, subject.source.info(), policies,
                   o.measured.evaluation, o.work);
  TenthLines lines;
  const auto reference = reference_of(subject, o.measured, o.work, lines, stop);
  const auto report = evaluate(
      subject.pipeline, *subject.network, reference, policies, o.measured.evaluation, o.work,
      [&](const EvaluationProgress& progress) { show(lines, progress); }, stop);
  write_text(o.out, report_json(report, command_text(o)));
  say(report_table(report));
  say(fmt::format("compared with {}\nwrote {}", reference.data, o.out));
  write_samples(subject.pipeline, policies, o, stop);
}

std::vector<std::string> inputs_of(const EvalOptions& options) {
  const EvaluatingOptions& measured = options.measured;
  std::vector<std::string> inputs{measured.model, measured.classifier, measured.inception,
                                  measured.reference};
  for (const auto& policy : options.policies) add_paths_in(policy, inputs);
  return inputs;
}

void eval(EvalOptions options) {
  settle(options.measured);
  check_options(options);
  check_outputs({options.out, options.npz}, inputs_of(options));
  const Interrupt interrupt;
  if (options.measured.threads) set_threads(*options.measured.threads);
  std::vector<PolicySpec> policies;
  for (const auto& text : options.policies) policies.push_back(parse_policy_spec(text));
  (options.samples_only ? sample_only : measure)(policies, options, interrupt.token());
}

void add_policies(CLI::App& app, EvalOptions& options) {
  app.add_option(
         "--policy,--policies", options.policies,
         "what to compare, one or more: " + policy_forms() +
             "; with +taylor:ORDER, +chebyshev:ORDER or +fitted:FILE@DEPTH at the end: what "
             "is reused is a forecast")
      ->required();
}

}  // namespace

void add_eval(CLI::App& app) {
  auto* command = app.add_subcommand(
      "eval",
      "Compare cache policies by image quality, time and memory. Stopped or killed, it goes on "
      "from the finished images when started again.");
  auto options = std::make_shared<EvalOptions>();
  add_subject_options(*command, options->measured);
  add_policies(*command, *options);
  add_run_options(*command, options->measured, "numbers are means over them");
  command->add_option("--work", options->work, "folder for images and reference statistics")
      ->required();
  command->add_option("--out", options->out, "the report: a JSON file");
  command->add_option("--npz", options->npz,
                      "writes the images of the one policy and seed as ADM's evaluator takes them");
  command->add_flag("--share", options->measured.evaluation.share,
                    "other processes with --share sample in the same --work at the same time");
  command->add_flag("--samples-only", options->samples_only,
                    "samples, measures nothing, needs neither network nor reference: for "
                    "those that help with --share, and for --npz alone");
  command->footer(
      "Example:\n"
      "  l2c eval --model dit.safetensors --classifier classifier.safetensors \\\n"
      "    --data /usr/share/datasets/fashion-mnist --cfg-scale 1.5 --threads 1 \\\n"
      "    --policy full steps:14 every:2 router:router20.safetensors@0.5 \\\n"
      "    --work eval-images --out eval.json\n"
      "  l2c eval --model pixels.safetensors --inception inception.pth \\\n"
      "    --reference VIRTUAL_imagenet64_labeled.npz --inception-input tensorflow \\\n"
      "    --policy full --images 50000 --seeds 0 --npz samples.npz --work work --out fid.json");
  command->callback([options] { eval(*options); });
}

}  // namespace l2c::cli
