#include "l2c/training/diffusion_trainer.h"

#include <fmt/format.h>

#include <utility>

#include "check_data.h"
#include "diffusion_step.h"
#include "environment.h"
#include "l2c/core/device.h"
#include "l2c/core/error.h"
#include "l2c/core/torch_errors.h"
#include "l2c/training/curve.h"
#include "l2c/training/run_folder.h"
#include "reporting.h"
#include "saved_tensors.h"

namespace l2c {

namespace {

constexpr const char* advice = "try a smaller batch, or a micro-batch within it";

TrainingSettings settings_of(const DiTConfig& config, const DataInfo& data,
                             const DiffusionTrainingOptions& o, at::Device device) {
  TrainingSettings settings;
  settings.add("training", "diffusion transformer");
  settings.add("model", to_json(config));
  settings.add("data", data.fingerprint);
  const bool cosine = o.decay == LearningRateDecay::cosine;
  // A constant rate makes the same steps however many will follow.
  if (cosine) settings.add("steps", o.steps);
  settings.add("batch_size", std::int64_t{o.batch_size});
  settings.add("micro_batch", std::int64_t{o.micro_batch});
  settings.add("learning_rate", o.learning_rate);
  settings.add("warmup_steps", std::int64_t{o.warmup_steps});
  settings.add("decay", cosine ? "cosine" : "constant");
  if (cosine) settings.add("final_rate", o.final_rate);
  settings.add("weight_decay", o.weight_decay);
  settings.add("clip_norm", o.clip_norm ? fmt::format("{}", *o.clip_norm) : "none");
  settings.add("ema_decay", o.ema_decay);
  settings.add("ema_ramp", o.ema_ramp);
  settings.add("flip", o.flip);
  settings.add("dtype", o.bf16 ? "bf16 autocast" : "fp32");
  settings.add("seed", fmt::format("{}", o.seed));
  settings.add("device", device.is_cuda() ? "cuda" : "cpu");
  settings.note("data_description", data.description);
  settings.note("report_every", fmt::format("{}", o.report_every));
  note_environment(settings);
  return settings;
}

}  // namespace

struct DiffusionTrainer::Impl {
  Impl(const DiTConfig& config_, std::shared_ptr<const DataSet> data,
       const DiffusionTrainingOptions& options_, const std::filesystem::path& path,
       at::Device device)
      : options(options_),
        folder(path),
        settings(settings_of(config_, data->info(), options_, device)),
        training(config_, std::move(data), options_, device),
        metadata{{"config", to_json(config_)}, {"training", settings.to_json()}} {
    if (const auto saved = folder.load(settings)) restore(*saved);
  }

  void restore(const SavedState& saved) {
    training.load(saved.tensors);
    curve.from_tensor(saved.tensor("curve"));
    sums.from_tensor(saved.tensor("sums"));
    step = saved.step;
    if (step > options.steps) {
      throw InputError(fmt::format("'{}' is already at step {}, beyond the {} asked for",
                                   folder.path().string(), step, options.steps));
    }
    warn_of_other_environment(saved, settings);
  }

  void save() {
    io::TensorMap tensors;
    training.save(tensors);
    check_finite(tensors, step);
    tensors["curve"] = curve.to_tensor();
    tensors["sums"] = sums.to_tensor();
    folder.save(step, tensors, settings);
    curve.write_csv(folder.path() / "curve.csv");
    metadata["training_steps"] = fmt::format("{}", step);
    io::write_safetensors(folder.path() / "model.safetensors",
                          training.averaged_weights(options.save_bf16), metadata);
    saved_at = step;
  }

  void one_step(ProgressReporter& reporter) {
    const double rate = learning_rate(options, step);
    const StepLoss loss = training(step);
    ++step;
    sums.add({loss.mse, loss.vb, loss.gradient_norm});
    if (step % options.report_every == 0 || step == options.steps) report(rate, reporter);
    if (step % options.save_every == 0) save();
  }

  void report(double rate, ProgressReporter& reporter) {
    const auto [mse, vb, gradient_norm] = sums.mean();
    sums = {};
    curve.add({static_cast<double>(step), mse + vb, mse, vb, gradient_norm, rate});
    reporter(step, options.steps, curve);
  }

  void train(ProgressReporter& reporter, const std::stop_token& stop) {
    while (step < options.steps) {
      if (stop.stop_requested()) {
        save();
        throw Cancelled(fmt::format(
            "stopped after step {} of {}; everything is saved in '{}': the same command goes on",
            step, options.steps, folder.path().string()));
      }
      one_step(reporter);
    }
    // Also of a training that was complete already: its results may have been removed.
    if (saved_at != step) save();
  }

  DiffusionTrainingOptions options;
  RunFolder folder;
  TrainingSettings settings;
  DiffusionStep training;
  io::Metadata metadata;  // of model.safetensors
  LossSums sums;
  Curve curve{{"step", "loss", "mse", "vb", "gradient_norm", "learning_rate"}};
  std::int64_t step = 0;
  std::int64_t saved_at = -1;
};

DiffusionTrainer::DiffusionTrainer(const DiTConfig& config, std::shared_ptr<const DataSet> data,
                                   const DiffusionTrainingOptions& options,
                                   const std::filesystem::path& folder, at::Device device) {
  if (!data) throw InputError("training a model needs data, not a null pointer");
  const c10::InferenceMode no_inference(false);
  with_our_errors(advice, [&] {
    check_options(options);
    check_dit_config(config, "the model's configuration");
    check_data({config.in_channels, config.input_size, config.num_classes}, data->info());
    if (device.is_cuda()) disable_tf32();
    impl_ = std::make_unique<Impl>(config, std::move(data), options, folder, device);
  });
}

DiffusionTrainer::~DiffusionTrainer() = default;

std::int64_t DiffusionTrainer::step() const { return impl_->step; }

void DiffusionTrainer::run(const TrainingProgressFunction& progress, std::stop_token stop) {
  const c10::InferenceMode no_inference(false);
  const at::AutoGradMode with_gradients(true);
  ProgressReporter reporter(progress, impl_->step, impl_->options.batch_size);
  with_our_errors(advice, [&] { impl_->train(reporter, stop); });
}

}  // namespace l2c
