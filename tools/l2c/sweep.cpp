// l2c sweep: many policies on one model, the front, and what to take for a budget.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "arguments.h"
#include "commands.h"
#include "console.h"
#include "interrupt.h"
#include "l2c/core/build_info.h"
#include "l2c/core/error.h"
#include "l2c/datasets/dataset.h"
#include "l2c/evaluation/classifier.h"
#include "l2c/io/file.h"
#include "l2c/sweep/choice.h"
#include "l2c/sweep/files.h"
#include "l2c/sweep/grid.h"
#include "l2c/sweep/sweep.h"

namespace l2c::cli {

namespace {

struct SweepArguments {
  std::string from;
  std::string model;
  LoadOptions load;
  std::string classifier;
  std::string data;
  std::string split = "test or all";
  SweepGrid grid;
  std::string standard;
  int steps = 20;
  std::vector<double> budgets{1, 2, 5};
  std::vector<double> speedups;
  std::string work;
  std::string out;
  std::optional<int> threads;
  SweepOptions sweep;
};

// What every command about the model begins with.
std::string model_text(const SweepArguments& a) {
  auto text = fmt::format("--model {}", quoted(a.model));
  if (!a.load.architecture.empty()) text += fmt::format(" --arch {}", quoted(a.load.architecture));
  if (a.load.dtype != "fp32") text += fmt::format(" --dtype {}", a.load.dtype);
  return text;
}

std::string use_text(const SweepArguments& a, const PolicySpec& spec) {
  auto text = fmt::format("l2c sample {} --steps {} --cfg-scale {}", model_text(a),
                          spec.steps.value_or(a.steps), a.sweep.evaluation.request.guidance);
  if (spec.reuses) text += fmt::format(" --policy {}", quoted(spec.text));
  return text;
}

std::string reproduce_text(const SweepArguments& a, const PolicySpec& spec) {
  const auto& e = a.sweep.evaluation;
  const auto split = a.split == "test or all" ? std::string() : fmt::format(" --split {}", a.split);
  return fmt::format(
      "l2c eval {} --classifier {} --data {}{} --policy {} --images {} --seeds {} --steps {} "
      "--cfg-scale {} --batch-size {} --rounds {} --threads {} --work {} --out point.json",
      model_text(a), quoted(a.classifier), quoted(a.data), split, quoted(spec.text), e.images,
      fmt::join(a.sweep.reporting_seeds, ","), a.steps, e.request.guidance, e.request.batch_size,
      e.timing_rounds, build_info().threads, quoted(a.work));
}

void check_given(const SweepArguments& a) {
  for (const auto& [name, value] :
       {std::pair{"--model", &a.model}, {"--classifier", &a.classifier}, {"--data", &a.data}}) {
    if (value->empty()) {
      throw InputError(fmt::format("{} is required (but with --from sweep.json)", name));
    }
  }
}

void make_ready(SweepArguments& a) {
  a.sweep.evaluation.request.steps = a.steps;
  a.grid.standard = !a.standard.empty();
  for (const double value : a.budgets) {
    a.sweep.budgets.push_back({.kind = SweepBudget::Kind::quality, .value = value});
  }
  for (const double value : a.speedups) {
    a.sweep.budgets.push_back({.kind = SweepBudget::Kind::speedup, .value = value});
  }
  for (const auto& budget : a.sweep.budgets) check_budget(budget);
  if (a.work.empty()) a.work = (std::filesystem::path(a.out) / "work").string();
}

// A sweep takes long enough to be left alone with its log.
void show(TenthLines& lines, const EvaluationProgress& progress) {
  if (!lines.due(progress.doing, progress.done, progress.of)) return;
  stderr_stream() << fmt::format("{}: {} of {}, {:.1f} s\n", progress.doing, progress.done,
                                 progress.of, progress.elapsed_seconds);
}

void tell(const SweepRecord& record, const std::string& out) {
  for (const auto& found : record.recommendations) {
    say(fmt::format("{}:\n  {}", in_words(found.budget), in_words(record, found)));
    if (found.point && !record.points[*found.point].use.empty()) {
      say(fmt::format("  {}", record.points[*found.point].use));
    }
  }
  say(fmt::format("wrote sweep.json, sweep.csv, sweep.png and report.html in {}", out));
}

SweepRecord measure(SweepArguments a) {
  check_given(a);
  make_ready(a);
  const Interrupt interrupt;
  if (a.threads) set_threads(*a.threads);
  const auto specs = expand(a.grid, a.sweep.evaluation.request);
  a.sweep.use = [&](const PolicySpec& spec) { return use_text(a, spec); };
  a.sweep.reproduce = [&](const PolicySpec& spec) { return reproduce_text(a, spec); };
  const auto classifier = load_classifier(a.classifier);
  const auto pipeline = Pipeline::load(a.model, a.load);
  const auto data = open_data(a.data, {.split = a.split,
                                       .image_size = pipeline.summary().size,
                                       .channels = pipeline.summary().channels});
  check_sweep(pipeline, *classifier, data->info(), specs, a.sweep, a.work);
  TenthLines lines;
  const auto reference = kept_reference(
      a.work, *data, *classifier, {},
      [&](std::int64_t done, std::int64_t of) {
        show(lines, {.doing = "reference", .done = done, .of = of, .elapsed_seconds = 0});
      },
      interrupt.token());
  return sweep(
      pipeline, *classifier, reference, specs, a.sweep, a.work,
      [&](const EvaluationProgress& progress) { show(lines, progress); }, interrupt.token());
}

// A folder that is there and can be written in, or can be made.
void check_folder(const std::filesystem::path& out) {
  std::error_code absent;
  io::check_writable(std::filesystem::is_directory(out, absent) ? out / "sweep.json" : out);
  if (std::filesystem::exists(out, absent) && !std::filesystem::is_directory(out, absent)) {
    throw InputError(fmt::format("--out {} is a file: give a folder", out.string()));
  }
}

void run_sweep(const SweepArguments& arguments) {
  check_folder(arguments.out);
  const auto record = arguments.from.empty()
                          ? measure(arguments)
                          : read_sweep(io::read_text(arguments.from), arguments.from);
  write_sweep(arguments.out, record);
  tell(record, arguments.out);
}

void add_inputs(CLI::App& app, SweepArguments& a) {
  auto* from = app.add_option("--from", a.from,
                              "make the files anew from a sweep.json, and measure nothing");
  app.add_option("--model", a.model, "checkpoint of a model of pixels")->excludes(from);
  app.add_option("--arch", a.load.architecture,
                 "a preset's name or a JSON file (default: the model file's own metadata)")
      ->excludes(from);
  app.add_option("--dtype", a.load.dtype, "of products and kept branches: fp32 or bf16")
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str()
      ->excludes(from);
  app.add_option("--classifier", a.classifier,
                 "what train-classifier wrote: gives features and judges labels")
      ->excludes(from);
  app.add_option("--data", a.data,
                 "real images to compare with: an MNIST-like folder, a folder of class folders, or "
                 "a .safetensors file")
      ->excludes(from);
  app.add_option("--split", a.split,
                 "of an MNIST-like folder: train or test (default: test; all of other data)")
      ->check(CLI::IsMember({"train", "test"}))
      ->excludes(from);
  app.add_option("--out", a.out, "folder for sweep.json, sweep.csv, sweep.png and report.html")
      ->required();
  app.add_option("--work", a.work,
                 "folder for images and what was measured so far (default: work in --out)")
      ->excludes(from);
}

void add_grid(CLI::App& app, SweepArguments& a) {
  auto* from = app.get_option("--from");
  app.add_option("--policies", a.grid.policies, "each as it is: " + policy_forms())->excludes(from);
  app.add_option("--recalls", a.grid.recalls,
                 "for every policy that reuses and names no recall: latest, taylor:ORDER, "
                 "chebyshev:ORDER, fitted:FILE@DEPTH")
      ->excludes(from);
  app.add_option("--thresholds", a.grid.thresholds, "for every router that names no threshold")
      ->excludes(from);
  app.add_option("--grid", a.standard,
                 "default: adds fewer steps, every 2nd to 4th step, and, without --recalls, the "
                 "recalls taylor:1, taylor:2 and chebyshev:2")
      ->check(CLI::IsMember({"default"}))
      ->excludes(from);
  app.add_option("--budgets", a.budgets,
                 "comma separated: percent of Frechet distance above computing everything that are "
                 "allowed")
      ->delimiter(',')
      ->capture_default_str()
      ->excludes(from);
  app.add_option("--at-least-speedup", a.speedups,
                 "comma separated: measured speed-ups that are wanted")
      ->delimiter(',')
      ->excludes(from);
}

void add_measuring(CLI::App& app, SweepArguments& a) {
  EvaluationOptions& evaluation = a.sweep.evaluation;
  std::vector<CLI::Option*> options{
      app.add_option("--images", evaluation.images, "images of a point and seed"),
      app.add_option("--seeds", evaluation.seeds, "comma separated; what is best is chosen by them")
          ->delimiter(','),
      app.add_option("--report-seeds", a.sweep.reporting_seeds,
                     "comma separated, others; what was chosen is measured again with them")
          ->delimiter(','),
      app.add_option("--steps", a.steps, "denoising steps, but for steps:N"),
      app.add_option("--cfg-scale", evaluation.request.guidance,
                     "classifier-free guidance; 1 switches it off"),
      app.add_option("--batch-size", evaluation.request.batch_size, "images at a time"),
      app.add_option("--rounds", evaluation.timing_rounds,
                     "how often one batch of every point is timed, in turn"),
      app.add_option("--show", a.sweep.images_shown, "images of a point on the page"),
  };
  for (auto* option : options) option->capture_default_str()->excludes("--from");
  app.add_option("--threads", a.threads, "CPU threads (default: all cores)")->excludes("--from");
}

}  // namespace

void add_sweep(CLI::App& app) {
  auto* command = app.add_subcommand(
      "sweep",
      "Measure many ways to run one model, and say which to take: a page, a chart, a table and "
      "JSON. Stopped or killed, it goes on from what is finished when started again.");
  auto arguments = std::make_shared<SweepArguments>();
  arguments->sweep.evaluation.seeds = {0, 1, 2};
  arguments->sweep.evaluation.request.batch_size = 50;
  add_inputs(*command, *arguments);
  add_grid(*command, *arguments);
  add_measuring(*command, *arguments);
  command->footer(
      "Example:\n"
      "  l2c sweep --model dit.safetensors --classifier classifier.safetensors \\\n"
      "    --data /usr/share/datasets/fashion-mnist --cfg-scale 1.5 --threads 1 \\\n"
      "    --policies router:router20.safetensors --grid default --budgets 1,2,5 --out sweep");
  command->callback([arguments, command] {
    arguments->sweep.command = given_command(*command);
    run_sweep(*arguments);
  });
}

}  // namespace l2c::cli
