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
#include "l2c/core/error.h"
#include "l2c/datasets/dataset.h"
#include "l2c/evaluation/classifier.h"
#include "l2c/evaluation/evaluator.h"
#include "l2c/evaluation/inception.h"
#include "l2c/evaluation/reference_source.h"
#include "l2c/evaluation/report.h"
#include "l2c/evaluation/sample_set.h"
#include "l2c/io/file.h"
#include "report.h"

namespace l2c::cli {

namespace {

struct EvalOptions {
  std::string model;
  LoadOptions load;
  std::string classifier;
  std::string inception;
  std::string inception_input = "pytorch-fid";
  std::string data;
  std::string reference;
  std::string split = "test or all";
  std::vector<std::string> policies;
  int steps = 20;
  std::string work;
  std::string out;
  std::string npz;
  bool samples_only = false;
  std::optional<int> threads;
  EvaluationOptions evaluation;
};

// An evaluation takes long enough to be left alone with its log.
void show(TenthLines& lines, const EvaluationProgress& progress) {
  if (!lines.due(progress.doing, progress.done, progress.of)) return;
  stderr_stream() << fmt::format("{}: {} of {}, {:.1f} s\n", progress.doing, progress.done,
                                 progress.of, progress.elapsed_seconds);
}

std::string network_text(const EvalOptions& o) {
  if (!o.classifier.empty()) return fmt::format(" --classifier {}", quoted(o.classifier));
  const auto text = fmt::format(" --inception {}", quoted(o.inception));
  if (o.inception_input == "pytorch-fid") return text;
  return fmt::format("{} --inception-input {}", text, o.inception_input);
}

// The command that does the same, for the report.
std::string command_text(const EvalOptions& o) {
  const auto& e = o.evaluation;
  auto text = fmt::format("l2c eval --model {}", quoted(o.model));
  if (!o.load.architecture.empty()) text += fmt::format(" --arch {}", quoted(o.load.architecture));
  if (o.load.dtype != "fp32") text += fmt::format(" --dtype {}", o.load.dtype);
  std::vector<std::string> policies;
  for (const auto& policy : o.policies) policies.push_back(quoted(policy));
  const auto split = o.split == "test or all" ? std::string() : fmt::format(" --split {}", o.split);
  if (o.load.device != "cpu") text += fmt::format(" --device {}", o.load.device);
  text += network_text(o);
  text += o.data.empty() ? fmt::format(" --reference {}", quoted(o.reference))
                         : fmt::format(" --data {}", quoted(o.data));
  text += fmt::format(
      "{} --policy {} --images {} --seeds {} --steps {} "
      "--cfg-scale {} --batch-size {} --rounds {} --threads {} --work {} --out {}",
      split, fmt::join(policies, " "), e.images, fmt::join(e.seeds, ","), o.steps,
      e.request.guidance, e.request.batch_size, e.timing_rounds, build_info().threads,
      quoted(o.work), quoted(o.out));
  if (!o.npz.empty()) text += fmt::format(" --npz {}", quoted(o.npz));
  return text + (e.share ? " --share" : "");
}

// What measuring takes, and sampling alone does not.
void check_measuring(const EvalOptions& o) {
  if (o.classifier.empty() == o.inception.empty()) {
    throw InputError("give one of --classifier and --inception: what takes the features");
  }
  if (o.data.empty() == o.reference.empty()) {
    throw InputError("give one of --data and --reference: what to compare with");
  }
  (void)parse_inception_input(o.inception_input);
  if (o.out.empty()) {
    throw InputError("give --out: the file for the report (only --samples-only makes none)");
  }
}

// Options that exclude or need each other.
void check_options(const EvalOptions& o) {
  if (!o.samples_only) {
    check_measuring(o);
  } else if (!o.out.empty()) {
    throw InputError("--samples-only measures nothing: leave out --out, or that option");
  }
  if (o.npz.empty()) return;
  if (o.policies.size() != 1 || o.evaluation.seeds.size() != 1) {
    throw InputError(fmt::format(
        "--npz writes the images of one policy and one seed, here are {} and {}: run it once for "
        "each; what is in --work is not sampled again",
        o.policies.size(), o.evaluation.seeds.size()));
  }
}

std::shared_ptr<const FeatureNetwork> load_network(const EvalOptions& o) {
  if (!o.classifier.empty()) return load_classifier(o.classifier);
  return load_inception(
      o.inception, {.input = parse_inception_input(o.inception_input), .device = o.load.device});
}

// As ADM's evaluator: 10,000 real images for precision and recall.
ReferenceOptions reference_options(const EvalOptions& o) {
  ReferenceOptions options;
  if (!o.inception.empty()) options.subset = 10000;
  return options;
}

// Of the one policy and seed, which are there by now.
void write_samples(const Pipeline& pipeline, const std::vector<PolicySpec>& policies,
                   const EvalOptions& o, const std::stop_token& stop) {
  if (o.npz.empty()) return;
  write_npz(o.npz, evaluated_samples(pipeline, policies.front(), o.evaluation.seeds.front(),
                                     o.evaluation, o.work, {}, stop));
  say(fmt::format("wrote {}", o.npz));
}

// The images alone, without a network: for processes that help another, and for other programs.
void sample_only(const Pipeline& pipeline, const std::vector<PolicySpec>& policies,
                 const EvalOptions& o, const std::stop_token& stop) {
  check_samples(pipeline, policies, o.evaluation, o.work);
  TenthLines lines;
  for (const auto& policy : policies) {
    for (const auto seed : o.evaluation.seeds) {
      (void)evaluated_samples(
          pipeline, policy, seed, o.evaluation, o.work,
          [&](const EvaluationProgress& progress) { show(lines, progress); }, stop);
    }
  }
  write_samples(pipeline, policies, o, stop);
}

void measure(const Pipeline& pipeline, const std::vector<PolicySpec>& policies,
             const EvalOptions& o, const std::stop_token& stop) {
  const auto network = load_network(o);
  const auto source = ReferenceSource::open(o.data.empty() ? o.reference : o.data,
                                            {.split = o.split,
                                             .image_size = pipeline.summary().size,
                                             .channels = pipeline.summary().channels,
                                             .need_classes = !o.data.empty()});
  source.check(*network);
  check_evaluation(pipeline, *network, source.info(), policies, o.evaluation, o.work);
  TenthLines lines;
  const auto reference = source.statistics(
      o.work, *network, reference_options(o),
      [&](std::int64_t done, std::int64_t of) {
        show(lines, {.doing = "reference", .done = done, .of = of, .elapsed_seconds = 0});
      },
      stop);
  const auto report = evaluate(
      pipeline, *network, reference, policies, o.evaluation, o.work,
      [&](const EvaluationProgress& progress) { show(lines, progress); }, stop);
  write_text(o.out, report_json(report, command_text(o)));
  say(report_table(report));
  say(fmt::format("compared with {}\nwrote {}", reference.data, o.out));
  write_samples(pipeline, policies, o, stop);
}

void eval(EvalOptions options) {
  options.evaluation.request.steps = options.steps;
  options.evaluation.device = options.load.device;
  check_options(options);
  for (const auto& file : {options.out, options.npz}) {
    if (!file.empty()) io::check_writable(file);
  }
  const Interrupt interrupt;
  if (options.threads) set_threads(*options.threads);
  std::vector<PolicySpec> policies;
  for (const auto& text : options.policies) policies.push_back(parse_policy_spec(text));
  const auto pipeline = Pipeline::load(options.model, options.load);
  (options.samples_only ? sample_only : measure)(pipeline, policies, options, interrupt.token());
}

void add_inputs(CLI::App& app, EvalOptions& options) {
  app.add_option("--model", options.model, "checkpoint of a model of pixels")->required();
  app.add_option("--arch", options.load.architecture,
                 "a preset's name or a JSON file (default: the model file's own metadata)");
  app.add_option("--dtype", options.load.dtype, "of products and kept branches: fp32 or bf16")
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
  app.add_option("--device", options.load.device,
                 "of the model and the Inception network: cpu, cuda or cuda:N")
      ->capture_default_str();
  app.add_option("--classifier", options.classifier,
                 "what train-classifier wrote: gives features and judges labels");
  app.add_option("--inception", options.inception,
                 "instead: the Inception network of FID, as pytorch-fid's weights saved again (see "
                 "docs/evaluation.md) or as a TorchScript program");
  app.add_option("--inception-input", options.inception_input,
                 "how images are resized for these weights: pytorch-fid, or tensorflow as ADM's "
                 "evaluator")
      ->capture_default_str();
  app.add_option("--data", options.data,
                 "real images to compare with: an MNIST-like folder, a folder of class folders, or "
                 "a .safetensors file");
  app.add_option("--reference", options.reference,
                 "instead: a folder of images, an .npz file as ADM's evaluator takes it (images, "
                 "statistics or both), or a reference-*.safetensors file of an earlier --work");
  app.add_option("--split", options.split,
                 "of an MNIST-like folder: train or test (default: test; all of other data)")
      ->check(CLI::IsMember({"train", "test"}));
}

void add_runs(CLI::App& app, EvalOptions& options) {
  EvaluationOptions& evaluation = options.evaluation;
  app.add_option(
         "--policy", options.policies,
         "what to compare, one or more: " + policy_forms() +
             "; with +taylor:ORDER, +chebyshev:ORDER or +fitted:FILE@DEPTH at the end: what "
             "is reused is a forecast")
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
  command->add_option("--out", options->out, "the report: a JSON file");
  command->add_option("--npz", options->npz,
                      "writes the images of the one policy and seed as ADM's evaluator takes them");
  command->add_flag("--share", options->evaluation.share,
                    "other processes with --share sample in the same --work at the same time");
  command->add_flag(
      "--samples-only", options->samples_only,
      "samples, measures nothing, needs neither network nor reference: for those that "
      "help with --share, and for --npz alone");
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
