// l2c sweep: many policies on one model, the front, and what to take for a budget.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "arguments.h"
#include "commands.h"
#include "console.h"
#include "evaluating.h"
#include "interrupt.h"
#include "l2c/core/build_info.h"
#include "l2c/core/error.h"
#include "l2c/io/file.h"
#include "l2c/sweep/choice.h"
#include "l2c/sweep/files.h"
#include "l2c/sweep/grid.h"
#include "l2c/sweep/sweep.h"

namespace l2c::cli {

namespace {

struct SweepArguments {
  std::string from;
  EvaluatingOptions measured;
  SweepGrid grid;
  std::string standard;
  std::vector<double> budgets{1, 2, 5};
  std::vector<double> speedups;
  std::string work;
  std::string out;
  SweepOptions sweep;
};

std::string use_text(const EvaluatingOptions& o, const PolicySpec& spec) {
  auto text = fmt::format("l2c sample {} --steps {} --cfg-scale {}", model_text(o),
                          spec.steps.value_or(o.steps), o.evaluation.request.guidance);
  if (spec.reuses) text += fmt::format(" --policy {}", quoted(spec.text));
  return text;
}

// Beside computing everything: percentages are of its distance.
std::string reproduce_text(const SweepArguments& a, const PolicySpec& spec,
                           const std::vector<std::uint64_t>& seeds) {
  const auto policies = spec.text == "full" ? spec.text : fmt::format("full {}", quoted(spec.text));
  return fmt::format("l2c eval {} --policy {} {} --work {} --out point.json",
                     subject_text(a.measured), policies, run_text(a.measured, seeds),
                     quoted(a.work));
}

void make_ready(SweepArguments& a) {
  check_evaluating(a.measured);
  settle(a.measured);
  a.sweep.evaluation = a.measured.evaluation;
  a.sweep.device = a.measured.load.device;
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
  make_ready(a);
  const Interrupt interrupt;
  if (a.measured.threads) set_threads(*a.measured.threads);
  const auto specs = expand(a.grid, a.sweep.evaluation.request);
  a.sweep.use = [&](const PolicySpec& spec) { return use_text(a.measured, spec); };
  a.sweep.reproduce = [&](const PolicySpec& spec, const std::vector<std::uint64_t>& seeds) {
    return reproduce_text(a, spec, seeds);
  };
  const auto subject = load_subject(a.measured);
  check_sweep(subject.pipeline, *subject.network, subject.source.info(), specs, a.sweep, a.work);
  TenthLines lines;
  const auto reference = reference_of(subject, a.measured, a.work, lines, interrupt.token());
  return sweep(
      subject.pipeline, *subject.network, reference, specs, a.sweep, a.work,
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
  const auto record = arguments.from.empty() ? measure(arguments) : load_sweep(arguments.from);
  write_sweep(arguments.out, record);
  tell(record, arguments.out);
}

void add_files(CLI::App& app, SweepArguments& a) {
  app.add_option("--from", a.from, "make the files anew from a sweep.json, and measure nothing");
  app.add_option("--out", a.out, "folder for sweep.json, sweep.csv, sweep.png and report.html")
      ->required();
  app.add_option("--work", a.work,
                 "folder for images and what was measured so far (default: work in --out)");
}

void add_grid(CLI::App& app, SweepArguments& a) {
  app.add_option("--policies,--policy", a.grid.policies, "each as it is: " + policy_forms());
  app.add_option("--recalls", a.grid.recalls,
                 "for every policy that reuses and names no recall: latest, taylor:ORDER, "
                 "chebyshev:ORDER, fitted:FILE@DEPTH");
  app.add_option("--thresholds", a.grid.thresholds,
                 "comma separated; for every router that names no threshold")
      ->delimiter(',');
  // "--grid" alone is "--grid default".
  app.add_option("--grid", a.standard,
                 "where it is given, alone or with \"default\": adds fewer steps, every 2nd to 4th "
                 "step, and, without --recalls, the recalls taylor:1, taylor:2 and chebyshev:2")
      ->expected(0, 1)
      ->default_str("default")
      ->check(CLI::IsMember({"default"}));
}

void add_choice(CLI::App& app, SweepArguments& a) {
  app.add_option("--report-seeds", a.sweep.reporting_seeds,
                 "comma separated, others; what was chosen is measured again with them")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--budgets", a.budgets,
                 "comma separated: percent of Frechet distance above computing everything that are "
                 "allowed")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--at-least-speedup", a.speedups,
                 "comma separated: measured speed-ups that are wanted")
      ->delimiter(',');
  app.add_option("--show", a.sweep.images_shown, "images of a point on the page")
      ->capture_default_str();
}

// Nothing but --out goes with --from.
void exclude_from(CLI::App& app) {
  auto* from = app.get_option("--from");
  for (auto* option : app.get_options()) {
    if (option == from || option == app.get_help_ptr() || option == app.get_option("--out")) {
      continue;
    }
    option->excludes(from);
  }
}

}  // namespace

void add_sweep(CLI::App& app) {
  auto* command = app.add_subcommand(
      "sweep",
      "Measure many ways to run one model, and say which to take: a page, a chart, a table and "
      "JSON. Stopped or killed, it goes on from what is finished when started again.");
  auto arguments = std::make_shared<SweepArguments>();
  add_files(*command, *arguments);
  add_subject_options(*command, arguments->measured);
  add_grid(*command, *arguments);
  add_run_options(*command, arguments->measured, "what is best is chosen by them");
  add_choice(*command, *arguments);
  exclude_from(*command);
  command->footer(
      "Example:\n"
      "  l2c sweep --model dit.safetensors --classifier classifier.safetensors \\\n"
      "    --data /usr/share/datasets/fashion-mnist --cfg-scale 1.5 --threads 1 \\\n"
      "    --policies router:router20.safetensors --grid --budgets 1,2,5 --out sweep");
  command->callback([arguments, command] {
    arguments->sweep.command = given_command(*command);
    run_sweep(*arguments);
  });
}

}  // namespace l2c::cli
