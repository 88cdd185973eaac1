// l2c train-dit: a diffusion transformer from images.
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
#include "l2c/core/device.h"
#include "l2c/core/error.h"
#include "l2c/models/dit_config.h"
#include "l2c/training/diffusion_trainer.h"

namespace l2c::cli {

namespace {

struct TrainDitOptions {
  std::string data;
  std::string split = "train";
  std::string arch;
  std::string out;
  std::string decay = "constant";
  std::optional<double> final_rate;
  std::string dtype = "fp32";
  std::string save_dtype = "fp32";
  std::string device = "cpu";
  std::optional<int> threads;
  DiffusionTrainingOptions training;
};

void train_dit(TrainDitOptions options) {
  const Interrupt interrupt;
  if (options.threads) set_threads(*options.threads);
  auto& training = options.training;
  training.decay =
      options.decay == "cosine" ? LearningRateDecay::cosine : LearningRateDecay::constant;
  if (options.final_rate) {
    if (training.decay != LearningRateDecay::cosine) {
      throw InputError("--final-lr is of a cosine: add --lr-decay cosine, or leave it out");
    }
    training.final_rate = *options.final_rate;
  }
  training.bf16 = options.dtype == "bf16";
  training.save_bf16 = options.save_dtype == "bf16";
  const auto config = dit_config(options.arch);
  const auto data =
      open_model_data(options.data, options.split, config.input_size, config.in_channels);
  DiffusionTrainer trainer(config, data, training, options.out, parse_device(options.device));
  complain(fmt::format("training on {}", data->info().description));
  if (trainer.step() > 0) complain(fmt::format("going on after step {}", trainer.step()));
  trainer.run([](const TrainingProgress& progress) { show_training(progress); }, interrupt.token());
  say(fmt::format("trained {} steps\nwrote {}/model.safetensors\nwrote {}/curve.csv",
                  trainer.step(), options.out, options.out));
}

void add_recipe(CLI::App& command, DiffusionTrainingOptions& o) {
  command.add_option("--steps", o.steps, "training steps")->capture_default_str();
  command.add_option("--batch-size", o.batch_size, "images a step")->capture_default_str();
  command
      .add_option("--micro-batch", o.micro_batch,
                  "images that go through the model at a time; 0: the whole batch")
      ->capture_default_str();
  command.add_option("--lr", o.learning_rate, "learning rate")->capture_default_str();
  command.add_option("--warmup", o.warmup_steps, "steps over which the rate rises")
      ->capture_default_str();
  command.add_option("--weight-decay", o.weight_decay, "of AdamW")->capture_default_str();
  command.add_option("--clip", o.clip_norm, "scale gradients to at most this norm");
  command.add_option("--ema", o.ema_decay, "decay of the averaged weights")->capture_default_str();
  command.add_flag("--ema-ramp", o.ema_ramp,
                   "average over fewer steps at the start: for short trainings");
  command.add_flag("--flip", o.flip, "mirror half of the images (as DiT's own recipe does)");
  command.add_option("--seed", o.seed, "of everything random")->capture_default_str();
  command.add_option("--save-every", o.save_every, "steps between two checkpoints")
      ->capture_default_str();
  command.add_option("--report-every", o.report_every, "steps between two rows of the loss curve")
      ->capture_default_str();
}

}  // namespace

void add_train_dit(CLI::App& app) {
  auto* command = app.add_subcommand(
      "train-dit",
      "Train a diffusion transformer on images. Stopped or killed, it goes on from its "
      "last checkpoint when started again.");
  auto options = std::make_shared<TrainDitOptions>();
  command
      ->add_option("--data", options->data,
                   "folder of IDX files, folder with a subfolder of images a class, or a "
                   "safetensors file with images and labels")
      ->required();
  command->add_option("--split", options->split, "of IDX files: train or test")
      ->check(CLI::IsMember({"train", "test"}))
      ->capture_default_str();
  command->add_option("--arch", options->arch, "\"DiT-S/2\", ... or a JSON file")->required();
  command->add_option("--out", options->out, "folder for checkpoints, model and loss curve")
      ->required();
  add_recipe(*command, options->training);
  command->add_option("--lr-decay", options->decay, "constant (as published) or cosine")
      ->check(CLI::IsMember({"constant", "cosine"}))
      ->capture_default_str();
  command->add_option("--final-lr", options->final_rate,
                      "cosine: the share of --lr left at the end (default: 0.05)");
  command->add_option("--dtype", options->dtype, "of products: fp32 or bf16 (autocast)")
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
  command->add_option("--save-dtype", options->save_dtype, "of model.safetensors: fp32 or bf16")
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
  command->add_option("--device", options->device, "cpu, cuda or cuda:N")->capture_default_str();
  command->add_option("--threads", options->threads, "CPU threads (default: all cores)");
  command->footer(
      "Example:\n"
      "  l2c train-dit --data /usr/share/datasets/fashion-mnist --arch config.json --out run \\\n"
      "    --steps 5000 --batch-size 128 --lr 1e-3 --lr-decay cosine --warmup 200 --clip 1 \\\n"
      "    --ema 0.9995 --ema-ramp --dtype bf16");
  command->callback([options] { train_dit(*options); });
}

}  // namespace l2c::cli
