// l2c eval: cache policies compared by quality, time and memory.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/App.hpp>
#include <memory>
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
#include "l2c/io/file.h"
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
  check_evaluating(o.measured);
  if (o.out.empty() && !o.samples_only) {
    throw InputError("give --out: the file for the report (only --samples-only makes none)");
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

// The images alone: for processes that help another.
void sample_only(const Pipeline& pipeline, const std::vector<PolicySpec>& policies,
                 const EvalOptions& o, TenthLines& lines, const std::stop_token& stop) {
  for (const auto& policy : policies) {
    for (const auto seed : o.measured.evaluation.seeds) {
      (void)evaluated_samples(
          pipeline, policy, seed, o.measured.evaluation, o.work,
          [&](const EvaluationProgress& progress) { show(lines, progress); }, stop);
    }
  }
}

void eval(EvalOptions options) {
  EvaluationOptions& evaluation = options.measured.evaluation;
  evaluation.request.steps = options.measured.steps;
  check_options(options);
  for (const auto& file : {options.out, options.npz}) {
    if (!file.empty()) io::check_writable(file);
  }
  const Interrupt interrupt;
  if (options.measured.threads) set_threads(*options.measured.threads);
  std::vector<PolicySpec> policies;
  for (const auto& text : options.policies) policies.push_back(parse_policy_spec(text));
  const auto subject = load_subject(options.measured);
  check_evaluation(subject.pipeline, *subject.network, subject.source.info(), policies, evaluation,
                   options.work);
  TenthLines lines;
  if (options.samples_only) {
    sample_only(subject.pipeline, policies, options, lines, interrupt.token());
    return;
  }
  const auto reference =
      reference_of(subject, options.measured, options.work, lines, interrupt.token());
  const auto report = evaluate(
      subject.pipeline, *subject.network, reference, policies, evaluation, options.work,
      [&](const EvaluationProgress& progress) { show(lines, progress); }, interrupt.token());
  write_text(options.out, report_json(report, command_text(options)));
  say(report_table(report));
  say(fmt::format("compared with {}\nwrote {}", reference.data, options.out));
  if (options.npz.empty()) return;
  write_npz(options.npz,
            evaluated_samples(subject.pipeline, policies.front(), evaluation.seeds.front(),
                              evaluation, options.work, {}, interrupt.token()));
  say(fmt::format("wrote {}", options.npz));
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
                    "samples, measures nothing: for those that help with --share");
  command->footer(
      "Example:\n"
      "  l2c eval --model dit.safetensors --classifier classifier.safetensors \\\n"
      "    --data /usr/share/datasets/fashion-mnist --cfg-scale 1.5 --threads 1 \\\n"
      "    --policy full steps:14 every:2 router:router20.safetensors@0.5 \\\n"
      "    --work eval-images --out eval.json\n"
      "  l2c eval --model pixels.safetensors --inception pt_inception-2015-12-05-6726825d.pth \\\n"
      "    --reference VIRTUAL_imagenet64_labeled.npz --inception-input tensorflow \\\n"
      "    --policy full --images 50000 --seeds 0 --npz samples.npz --work work --out fid.json");
  command->callback([options] { eval(*options); });
}

}  // namespace l2c::cli
