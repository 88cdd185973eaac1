#include "l2c/training/diffusion_trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "check_data.h"
#include "diffusion_step.h"
#include "l2c/core/device.h"
#include "l2c/core/error.h"
#include "l2c/core/torch_errors.h"
#include "l2c/training/curve.h"
#include "l2c/training/run_folder.h"

namespace l2c {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

TrainingSettings settings_of(const DiTConfig& config, const DataInfo& data,
                             const DiffusionTrainingOptions& o, at::Device device) {
  TrainingSettings settings;
  settings.add("training", "diffusion transformer");
  settings.add("model", to_json(config));
  settings.add("data", data.fingerprint);
  settings.add("data_description", data.description);
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
  settings.add("report_every", o.report_every);
  settings.add("device", device.is_cuda() ? "cuda" : "cpu");
  return settings;
}

// The losses since the last row of the curve.
class Sums {
 public:
  void add(const StepLoss& loss) {
    sum_.mse += loss.mse;
    sum_.vb += loss.vb;
    sum_.gradient_norm += loss.gradient_norm;
    ++count_;
  }
  [[nodiscard]] double count() const { return count_; }
  [[nodiscard]] StepLoss mean() const {
    return {sum_.mse / count_, sum_.vb / count_, sum_.gradient_norm / count_};
  }
  [[nodiscard]] at::Tensor to_tensor() const {
    return at::tensor({sum_.mse, sum_.vb, sum_.gradient_norm, count_}, at::kDouble);
  }
  void from_tensor(const at::Tensor& tensor) {
    if (tensor.numel() != 4) throw InputError("the checkpoint's sums must have 4 entries");
    const auto value = [&](int i) { return tensor[i].item<double>(); };
    sum_ = {value(0), value(1), value(2)};
    count_ = value(3);
  }

 private:
  StepLoss sum_;
  double count_ = 0;
};

}  // namespace

struct DiffusionTrainer::Impl {
  Impl(const DiTConfig& config_, std::shared_ptr<const DataSet> data,
       const DiffusionTrainingOptions& options_, const std::filesystem::path& path,
       at::Device device)
      : config(config_),
        options(options_),
        folder(path),
        settings(settings_of(config_, data->info(), options_, device)),
        training(config_, std::move(data), options_, device) {
    if (const auto saved = folder.load(settings)) restore(*saved);
  }

  void restore(const SavedState& saved) {
    training.load(saved.tensors);
    curve.from_tensor(saved.tensor("curve"));
    sums.from_tensor(saved.tensor("sums"));
    step = saved.step;
    resumed_from = saved.step;
    if (step > options.steps) {
      throw InputError(fmt::format("'{}' is already at step {}, beyond the {} asked for",
                                   folder.path().string(), step, options.steps));
    }
  }

  void save() {
    io::TensorMap tensors;
    training.save(tensors);
    tensors["curve"] = curve.to_tensor();
    tensors["sums"] = sums.to_tensor();
    folder.save(step, tensors, settings);
    curve.write_csv(folder.path() / "curve.csv");
    io::write_safetensors(folder.path() / "model.safetensors",
                          training.averaged_weights(options.save_bf16),
                          {{"config", to_json(config)},
                           {"training", settings.to_json()},
                           {"training_steps", fmt::format("{}", step)}});
    saved_at = step;
  }

  void one_step(const TrainingProgressFunction& progress) {
    const double rate = learning_rate(options, step);
    const StepLoss loss = training(step);
    ++step;
    sums.add(loss);
    if (step % options.report_every == 0 || step == options.steps) report(rate, progress);
    if (step % options.save_every == 0) save();
  }

  void report(double rate, const TrainingProgressFunction& progress) {
    const StepLoss mean = sums.mean();
    curve.add({static_cast<double>(step), mean.mse + mean.vb, mean.mse, mean.vb, mean.gradient_norm,
               rate});
    if (progress) {
      const double now = seconds_since(start);
      TrainingProgress row{.step = step,
                           .of = options.steps,
                           .resumed_from = resumed_from,
                           .elapsed_seconds = now,
                           .samples_per_second = sums.count() * options.batch_size /
                                                 std::max(now - reported_at, 1e-9),
                           .values = {}};
      for (std::size_t i = 1; i < curve.columns().size(); ++i) {
        row.values.emplace_back(curve.columns()[i], curve.rows().back()[i]);
      }
      reported_at = now;
      progress(row);
    }
    sums = {};
  }

  DiTConfig config;
  DiffusionTrainingOptions options;
  RunFolder folder;
  TrainingSettings settings;
  DiffusionStep training;
  Sums sums;
  Curve curve{{"step", "loss", "mse", "vb", "gradient_norm", "learning_rate"}};
  std::int64_t step = 0;
  std::int64_t resumed_from = 0;
  std::int64_t saved_at = -1;
  Clock::time_point start = Clock::now();
  double reported_at = 0;
};

DiffusionTrainer::DiffusionTrainer(const DiTConfig& config, std::shared_ptr<const DataSet> data,
                                   const DiffusionTrainingOptions& options,
                                   const std::filesystem::path& folder, at::Device device) {
  check_options(options);
  check_dit_config(config, "the model's configuration");
  check_data({config.in_channels, config.input_size, config.num_classes}, data->info());
  if (device.is_cuda()) disable_tf32();
  impl_ = std::make_unique<Impl>(config, std::move(data), options, folder, device);
}

DiffusionTrainer::~DiffusionTrainer() = default;

std::int64_t DiffusionTrainer::step() const { return impl_->step; }

void DiffusionTrainer::run(const TrainingProgressFunction& progress, std::stop_token stop) {
  Impl& impl = *impl_;
  impl.start = Clock::now();
  impl.reported_at = 0;
  with_our_errors("try a smaller batch, or a micro-batch within it", [&] {
    while (impl.step < impl.options.steps) {
      if (stop.stop_requested()) {
        impl.save();
        throw Cancelled(fmt::format(
            "stopped after step {} of {}; everything is saved in '{}': the same command goes on",
            impl.step, impl.options.steps, impl.folder.path().string()));
      }
      impl.one_step(progress);
    }
  });
  // Also of a training that was complete already: its results may have been removed.
  if (impl.saved_at != impl.step) impl.save();
}

}  // namespace l2c
