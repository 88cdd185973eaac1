#include "evaluating.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/Validators.hpp>
#include <utility>

#include "arguments.h"
#include "l2c/core/build_info.h"
#include "l2c/core/error.h"
#include "l2c/evaluation/classifier.h"
#include "l2c/evaluation/inception.h"

namespace l2c::cli {

namespace {

std::string network_text(const EvaluatingOptions& o) {
  if (!o.classifier.empty()) return fmt::format(" --classifier {}", quoted(o.classifier));
  const auto text = fmt::format(" --inception {}", quoted(o.inception));
  if (o.inception_input == "pytorch-fid") return text;
  return fmt::format("{} --inception-input {}", text, o.inception_input);
}

std::shared_ptr<const FeatureNetwork> load_network(const EvaluatingOptions& o) {
  if (!o.classifier.empty()) return load_classifier(o.classifier);
  return load_inception(
      o.inception, {.input = parse_inception_input(o.inception_input), .device = o.load.device});
}

void add_network_options(CLI::App& app, EvaluatingOptions& options) {
  app.add_option("--classifier", options.classifier,
                 "what train-classifier wrote: gives features and judges labels");
  app.add_option("--inception", options.inception,
                 "instead: the Inception network of FID, as pytorch-fid's weights file (see "
                 "docs/evaluation.md) or as a TorchScript program");
  app.add_option("--inception-input", options.inception_input,
                 "how images are resized for these weights: pytorch-fid, or tensorflow as ADM's "
                 "evaluator")
      ->capture_default_str();
}

}  // namespace

void add_subject_options(CLI::App& app, EvaluatingOptions& options) {
  options.evaluation.seeds = {0, 1, 2};
  options.evaluation.request.batch_size = 50;
  app.add_option("--model", options.model, "checkpoint of a model of pixels");
  app.add_option("--arch", options.load.architecture,
                 "a preset's name or a JSON file (default: the model file's own metadata)");
  app.add_option("--dtype", options.load.dtype, "of products and kept branches: fp32 or bf16")
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
  app.add_option("--device", options.load.device,
                 "of the model and the Inception network: cpu, cuda or cuda:N")
      ->capture_default_str();
  add_network_options(app, options);
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

void add_run_options(CLI::App& app, EvaluatingOptions& options, const std::string& seeds) {
  EvaluationOptions& evaluation = options.evaluation;
  app.add_option("--images", evaluation.images, "images of a policy and seed")
      ->capture_default_str();
  app.add_option("--seeds", evaluation.seeds, "comma separated; " + seeds)
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

void settle(EvaluatingOptions& options) {
  options.evaluation.request.steps = options.steps;
  options.evaluation.device = options.load.device;
}

void check_model(const EvaluatingOptions& o) {
  if (o.model.empty()) throw InputError("--model is required");
}

void check_evaluating(const EvaluatingOptions& o) {
  check_model(o);
  if (o.classifier.empty() == o.inception.empty()) {
    throw InputError("give one of --classifier and --inception: what takes the features");
  }
  if (o.data.empty() == o.reference.empty()) {
    throw InputError("give one of --data and --reference: what to compare with");
  }
  (void)parse_inception_input(o.inception_input);
}

std::string model_text(const EvaluatingOptions& o) {
  auto text = fmt::format("--model {}", quoted(o.model));
  if (!o.load.architecture.empty()) text += fmt::format(" --arch {}", quoted(o.load.architecture));
  if (o.load.dtype != "fp32") text += fmt::format(" --dtype {}", o.load.dtype);
  if (o.load.device != "cpu") text += fmt::format(" --device {}", o.load.device);
  return text;
}

std::string subject_text(const EvaluatingOptions& o) {
  const auto images = o.data.empty() ? fmt::format(" --reference {}", quoted(o.reference))
                                     : fmt::format(" --data {}", quoted(o.data));
  const auto split = o.split == "test or all" ? std::string() : fmt::format(" --split {}", o.split);
  return model_text(o) + network_text(o) + images + split;
}

std::string run_text(const EvaluatingOptions& o, const std::vector<std::uint64_t>& seeds) {
  const auto& e = o.evaluation;
  return fmt::format(
      "--images {} --seeds {} --steps {} --cfg-scale {} --batch-size {} --rounds {} --threads {}",
      e.images, fmt::join(seeds, ","), o.steps, e.request.guidance, e.request.batch_size,
      e.timing_rounds, build_info().threads);
}

Subject load_subject(const EvaluatingOptions& o) {
  auto network = load_network(o);
  auto pipeline = Pipeline::load(o.model, o.load);
  auto source = ReferenceSource::open(o.data.empty() ? o.reference : o.data,
                                      {.split = o.split,
                                       .image_size = pipeline.summary().size,
                                       .channels = pipeline.summary().channels,
                                       .need_classes = !o.data.empty()});
  source.check(*network);
  return {std::move(network), std::move(pipeline), std::move(source)};
}

ReferenceStatistics reference_of(const Subject& subject, const EvaluatingOptions& options,
                                 const std::string& work, TenthLines& lines, std::stop_token stop) {
  ReferenceOptions reference;
  // As ADM's evaluator: 10,000 real images for precision and recall.
  if (!options.inception.empty()) reference.subset = 10000;
  return subject.source.statistics(
      work, *subject.network, reference,
      [&](std::int64_t done, std::int64_t of) {
        show(lines, {.doing = "reference", .done = done, .of = of, .elapsed_seconds = 0});
      },
      std::move(stop));
}

void show(TenthLines& lines, const EvaluationProgress& progress) {
  if (!lines.due(progress.doing, progress.done, progress.of)) return;
  remark(fmt::format("{}: {} of {}, {:.1f} s", progress.doing, progress.done, progress.of,
                     progress.elapsed_seconds));
}

}  // namespace l2c::cli
