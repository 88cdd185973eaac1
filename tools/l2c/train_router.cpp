// l2c train-router: a router for a model.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <memory>
#include <optional>
#include <string>

#include "commands.h"
#include "console.h"
#include "inputs.h"
#include "interrupt.h"
#include "l2c/core/build_info.h"
#include "l2c/core/error.h"
#include "l2c/training/router_trainer.h"

namespace l2c::cli {

namespace {

struct TrainRouterOptions {
  ModelOptions model;
  std::string data;
  std::string split = "train";
  bool no_data = false;
  std::string out;
  std::optional<int> steps;
  std::optional<int> threads;
  RouterTrainingOptions training;
};

std::shared_ptr<const DataSet> load_data(const TrainRouterOptions& options,
                                         const DenoiserInfo& model) {
  if (options.no_data || options.training.trajectory) return nullptr;
  if (options.data.empty()) {
    throw InputError(
        "nothing to train on: give --data, --no-data for samples of the model, or --trajectory for "
        "whole runs of the sampler");
  }
  return open_model_data(options.data, options.split, model.input_size, model.in_channels);
}

void print(const RouterTrainingResult& result, const RouterTrainingOptions& options) {
  std::string text = fmt::format(
      "trained {} iterations\nbranches computed at threshold {}: {} of {} at the cache "
      "steps\nideal speed-up {:.4f}x, lambda {:.4g}\n",
      result.iterations, options.threshold, result.branches_on, result.cache_step_branches,
      result.ideal_speedup, result.lambda);
  if (options.target_speedup) {
    text += fmt::format("target speed-up {}x: {}\n", *options.target_speedup,
                        result.target_reached ? "met within 2 %" : "MISSED");
  }
  for (const auto& file : result.files) text += fmt::format("wrote {}\n", file.string());
  text.pop_back();
  say(text);
}

void train_router(TrainRouterOptions options) {
  const Interrupt interrupt;
  if (options.threads) set_threads(*options.threads);
  auto& training = options.training;
  if (options.steps) training.spacing = fmt::format("{}", *options.steps);
  const auto model = load_model(options.model);
  const auto data = load_data(options, model->info());
  RouterTrainer trainer(model, data, training, options.out);
  if (training.trajectory) {
    complain("training on whole runs of the sampler");
  } else {
    complain(data ? fmt::format("training on {}", data->info().description)
                  : fmt::format("training on {} samples of the model", training.own_samples.count));
  }
  if (trainer.iteration() > 0) {
    complain(fmt::format("going on after step {}", trainer.iteration()));
  }
  const auto result = trainer.run([](const TrainingProgress& progress) { show_training(progress); },
                                  interrupt.token());
  print(result, training);
}

void add_inputs(CLI::App& command, TrainRouterOptions& o) {
  add_model_options(command, o.model);
  auto* data = command.add_option(
      "--data", o.data,
      "folder of IDX files, folder with a subfolder of images a class, or a safetensors file with "
      "images or latents and labels");
  command.add_option("--split", o.split, "of IDX files: train or test")
      ->check(CLI::IsMember({"train", "test"}))
      ->capture_default_str();
  auto* no_data =
      command.add_flag("--no-data", o.no_data, "train on samples that the model makes first");
  no_data->excludes(data);
  OwnSampleOptions& own = o.training.own_samples;
  command.add_option("--own-samples", own.count, "how many of them")
      ->needs(no_data)
      ->capture_default_str();
  command.add_option("--own-guidance", own.guidance, "their classifier-free guidance; 1: off")
      ->needs(no_data)
      ->capture_default_str();
  command.add_option("--own-batch-size", own.batch_size, "how many at a time")
      ->needs(no_data)
      ->capture_default_str();
}

// Beyond the paper.
void add_trajectory(CLI::App& command, RouterTrainingOptions& o) {
  auto* runs = command.add_flag(
      "--trajectory", o.trajectory,
      "train on whole runs of the sampler, from noise, in which each cache step goes on from what "
      "the ones before did; an iteration trains every row; needs no images");
  runs->excludes(command.get_option("--data"))->excludes(command.get_option("--no-data"));
  command
      .add_option("--recall", o.recall,
                  "what reused branches give: latest, taylor:ORDER, chebyshev:ORDER or "
                  "fitted:FILE@DEPTH")
      ->needs(runs)
      ->capture_default_str();
  command
      .add_option("--group", o.group,
                  "every so many steps one is computed whole; 0: the budget alone decides which")
      ->needs(runs)
      ->capture_default_str();
  command
      .add_flag("--hard", o.hard,
                "decide as sampling does, instead of mixing computed and reused branches")
      ->needs(runs);
  command.add_option("--cfg-scale", o.guidance, "of the runs: classifier-free guidance; 1: off")
      ->needs(runs)
      ->capture_default_str();
}

void add_recipe(CLI::App& command, RouterTrainingOptions& o) {
  command
      .add_option("--iterations", o.iterations,
                  "in all; with --target-speedup at least so many, at most three times as many")
      ->capture_default_str();
  command.add_option("--batch-size", o.batch_size, "samples an iteration")->capture_default_str();
  command
      .add_option("--lr", o.learning_rate,
                  "learning rate; the published one is for some 10,000 iterations, 0.05 for 1,000")
      ->capture_default_str();
  command.add_option("--initial-router", o.initial_router,
                     "router to start from; of another number of steps: carried over");
  auto* lambda = command.add_option("--lambda", o.lambda,
                                    "weight of the computed branches in the loss (default: 5e-6)");
  command
      .add_option(
          "--target-speedup", o.target_speedup,
          "choose lambda so that the ideal speed-up comes within 2 % of this; takes some 10 * "
          "steps / 2 / lr iterations")
      ->excludes(lambda);
  command.add_option("--threshold", o.threshold, "what the router's file will recommend")
      ->capture_default_str();
  command
      .add_option("--label-dropout", o.label_dropout, "share of labels replaced by the null one")
      ->capture_default_str();
  command.add_option("--clamp", o.clamp, "largest size of a logit")->capture_default_str();
  command.add_flag("--flip", o.flip, "mirror half of the images (as published; not for latents)");
  command.add_option("--dtype", o.dtype, "of products: fp32 or bf16 (autocast)")
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
  command.add_option("--seed", o.seed, "of everything random")->capture_default_str();
  command.add_option("--save-every", o.save_every, "iterations between two checkpoints")
      ->capture_default_str();
  command
      .add_option("--report-every", o.report_every, "iterations between two rows of the loss curve")
      ->capture_default_str();
}

}  // namespace

void add_train_router(CLI::App& app) {
  auto* command = app.add_subcommand(
      "train-router",
      "Learn which branches of a model can be reused. Stopped or killed, it goes on from its last "
      "checkpoint when started again.");
  auto options = std::make_shared<TrainRouterOptions>();
  add_inputs(*command, *options);
  add_trajectory(*command, options->training);
  auto* steps = command->add_option("--steps", options->steps,
                                    "sampling steps that the router is for (default: 20)");
  command
      ->add_option("--spacing", options->training.spacing,
                   "instead of --steps: an official spacing string, \"ddim50\" or \"10,10\"")
      ->excludes(steps);
  command->add_option("--out", options->out, "folder for checkpoints, router, curve and heat map")
      ->required();
  add_recipe(*command, options->training);
  command->add_option("--device", options->model.device, "cpu, cuda or cuda:N")
      ->capture_default_str();
  command->add_option("--threads", options->threads, "CPU threads (default: all cores)");
  command->footer(
      "Example:\n"
      "  l2c train-router --model run/model.safetensors --no-data --steps 20 --out router \\\n"
      "    --iterations 1000 --batch-size 24 --lr 0.05 --target-speedup 1.3 --dtype bf16\n"
      "  l2c sample --model run/model.safetensors --router router/router.safetensors --compare");
  command->callback([options] { train_router(*options); });
}

}  // namespace l2c::cli
