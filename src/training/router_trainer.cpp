#include "l2c/training/router_trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "l2c/core/error.h"
#include "l2c/core/log.h"
#include "l2c/core/torch_errors.h"
#include "l2c/datasets/dataset.h"
#include "l2c/models/denoiser.h"
#include "l2c/sampling/denoise.h"
#include "l2c/training/autocast.h"
#include "l2c/training/curve.h"
#include "l2c/training/random.h"
#include "l2c/training/router_objective.h"
#include "l2c/training/run_folder.h"
#include "lambda_controller.h"
#include "own_samples.h"
#include "router_logits.h"
#include "router_results.h"
#include "router_settings.h"

namespace l2c {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<double> numbers(const at::Tensor& tensor) {
  const at::Tensor values = tensor.detach().to(at::kCPU, at::kDouble).contiguous();
  const double* first = values.const_data_ptr<double>();
  return {first, first + values.numel()};
}

// The losses since the last row of the curve.
struct Sums {
  double loss = 0;
  double mse = 0;
  double penalty = 0;
  double count = 0;
};

}  // namespace

struct RouterTrainer::Impl {
  Impl(std::shared_ptr<const Denoiser> model_, std::shared_ptr<const DataSet> data_,
       const RouterTrainingOptions& options_, const std::filesystem::path& path)
      : model(std::move(model_)),
        data(std::move(data_)),
        options(options_),
        schedule(make_schedule(options_.spacing)),
        shape(run_shape(model->info().blocks, schedule, "ddim", model->info().fingerprint)),
        random(options_.seed),
        folder(path),
        settings(settings_of(options_, *model, data.get())),
        logits(first_logits(), options_.clamp) {
    if (options.target_speedup) {
      controller.emplace(price_of(schedule.steps(), model->cost()), *options.target_speedup,
                         options.threshold, options.learning_rate);
    }
    if (const auto saved = folder.load(settings)) restore(*saved);
  }

  [[nodiscard]] at::Tensor first_logits() const {
    std::vector<at::Tensor> rows;
    for (int row = 0; row < schedule.steps(); ++row) {
      rows.push_back(random.normal(DrawFor::router_logits, row, {shape.units()}));
    }
    return at::stack(rows).to(model->device());
  }

  void restore(const SavedState& saved) {
    logits.load(saved.tensors);
    curve.from_tensor(saved.tensor("curve"));
    const auto kept = numbers(saved.tensor("sums"));
    if (kept.size() != 4) throw InputError("the checkpoint's sums must have 4 entries");
    sums = {kept[0], kept[1], kept[2], kept[3]};
    if (controller) controller->restore(numbers(saved.tensor("lambda_controller")));
    step = resumed_from = saved.step;
    const auto asked = numbers(saved.tensor("iterations")).at(0);
    if (static_cast<double>(options.iterations) < asked) {
      throw InputError(fmt::format(
          "iterations: {} in the checkpoint {}, {} now; only more are possible: the training goes "
          "on then",
          asked, saved.file.string(), options.iterations));
    }
  }

  void save() {
    io::TensorMap tensors;
    logits.save(tensors);
    tensors["curve"] = curve.to_tensor();
    tensors["sums"] = at::tensor({sums.loss, sums.mse, sums.penalty, sums.count}, at::kDouble);
    tensors["iterations"] = at::tensor({options.iterations}, at::kLong);
    if (controller) {
      tensors["lambda_controller"] = at::tensor(at::ArrayRef<double>(controller->save()));
    }
    folder.save(step, tensors, settings);
    saved_at = step;
  }

  [[nodiscard]] double lambda() const {
    return controller ? controller->lambda() : options.lambda.value_or(published_lambda);
  }

  [[nodiscard]] Router router(RouterInfo info = {}) const {
    return to_router(logits.values(), std::move(info));
  }
  [[nodiscard]] PlanCost price() const {
    return price_router(router(), options.threshold, shape, model->cost());
  }

  [[nodiscard]] std::int64_t limit() const {
    return controller ? patience_for_target * options.iterations : options.iterations;
  }
  [[nodiscard]] bool finished() const {
    if (step >= limit()) return true;
    if (step < options.iterations) return false;
    return !controller || (controller->settled() && controller->within(price().ideal_speedup));
  }

  [[nodiscard]] RouterBatch batch() {
    const DataBatch examples = data->batch(order->batch(step));
    const auto count = examples.x.size(0);
    const auto chosen = [&](DrawFor purpose, double share) {
      const auto draws = random.uniform(purpose, step, count);
      return at::tensor(at::ArrayRef<double>(draws)) < share;
    };
    at::Tensor x0 = examples.x;
    at::Tensor labels = examples.y;
    if (options.flip) {
      x0 = at::where(chosen(DrawFor::flip, 0.5).view({-1, 1, 1, 1}), x0.flip(3), x0);
    }
    if (options.label_dropout > 0) {
      labels = labels.masked_fill(chosen(DrawFor::label_dropout, options.label_dropout),
                                  *model->info().null_label);
    }
    const at::Tensor noise = random.normal(DrawFor::noise, step, x0.sizes());
    const auto device = model->device();
    return {x0.to(device), noise.to(device), labels.to(device)};
  }

  void iterate() {
    const auto cache_step =
        random.integers(DrawFor::timestep, step, 1, schedule.steps() / 2).front();
    const int row = 2 * static_cast<int>(cache_step);
    RouterLoss loss;
    {
      const Autocast autocast(model->device(), options.dtype == "bf16");
      loss = router_loss(*model, router_target(*model, schedule, row, batch()), logits.row(row),
                         lambda());
    }
    add(loss, row);
    loss.total.backward();
    if (controller) {
      controller->observe(static_cast<int>(cache_step), numbers(logits.row(row).sigmoid()),
                          numbers(logits.row(row).grad()));
    }
    logits.step(options.learning_rate);
    ++step;
    if (controller && controller->due(step)) controller->control(step, price().ideal_speedup);
  }

  void add(const RouterLoss& loss, int row) {
    const auto mse = loss.mse.item<double>();
    const double penalty = lambda() * loss.weight_sum.item<double>();
    if (!std::isfinite(mse + penalty)) {
      throw RunError(fmt::format(
          "iteration {} (row {}): the loss is not finite; '{}' keeps the checkpoints before. Look "
          "at the data, or use fp32",
          step + 1, row, folder.path().string()));
    }
    sums.loss += mse + penalty;
    sums.mse += mse;
    sums.penalty += penalty;
    sums.count += 1;
  }

  void report(const TrainingProgressFunction& progress) {
    if (sums.count == 0) return;
    const PlanCost cost = price();
    curve.add({static_cast<double>(step), sums.loss / sums.count, sums.mse / sums.count,
               sums.penalty / sums.count, lambda(),
               static_cast<double>(cost.cache_step_branches - cost.reused), cost.ideal_speedup});
    if (progress) {
      const double now = seconds_since(start);
      TrainingProgress row{
          .step = step,
          .of = step <= options.iterations ? options.iterations : limit(),
          .resumed_from = resumed_from,
          .elapsed_seconds = now,
          .samples_per_second = static_cast<double>(step - std::max(reported_step, resumed_from)) *
                                options.batch_size / std::max(now - reported_at, 1e-9),
          .values = {}};
      for (std::size_t i = 1; i < curve.columns().size(); ++i) {
        row.values.emplace_back(curve.columns()[i], curve.rows().back()[i]);
      }
      reported_at = now;
      reported_step = step;
      progress(row);
    }
    sums = {};
  }

  void train(const TrainingProgressFunction& progress, const std::stop_token& stop) {
    order.emplace(random, data->info().size, options.batch_size);
    start = Clock::now();
    reported_at = 0;
    while (!finished()) {
      iterate();
      const bool last = finished();
      if (last || step % options.report_every == 0) report(progress);
      if (last || step % options.save_every == 0) save();
      if (!last && stop.stop_requested()) {
        if (saved_at != step) save();
        throw Cancelled(fmt::format(
            "stopped after iteration {} of {}; everything is saved in '{}': the same command goes "
            "on",
            step, options.iterations, folder.path().string()));
      }
    }
  }

  RouterTrainingResult result() {
    const PlanCost cost = price();
    Router trained = router({.model_fingerprint = model->info().fingerprint,
                             .spacing = options.spacing,
                             .sampler = "ddim",
                             .threshold = options.threshold,
                             .lambda = lambda(),
                             .training = describe(options, step, data->info().description)});
    auto files = write_results(folder.path(), trained, options.threshold, curve);
    const bool reached = !controller || controller->within(cost.ideal_speedup);
    if (!reached) {
      log::warning(fmt::format(
          "the target speed-up of {} was missed: {:.3f} after {} iterations. More iterations, or a "
          "larger learning rate, may reach it",
          *options.target_speedup, cost.ideal_speedup, step));
    }
    return {.router = std::move(trained),
            .iterations = step,
            .lambda = lambda(),
            .ideal_speedup = cost.ideal_speedup,
            .branches_on = cost.cache_step_branches - cost.reused,
            .cache_step_branches = cost.cache_step_branches,
            .target_reached = reached,
            .files = std::move(files)};
  }

  std::shared_ptr<const Denoiser> model;
  std::shared_ptr<const DataSet> data;
  RouterTrainingOptions options;
  Schedule schedule;
  RunShape shape;
  TrainingRandom random;
  RunFolder folder;
  TrainingSettings settings;
  RouterLogits logits;
  std::optional<LambdaController> controller;
  std::optional<DataOrder> order;
  Sums sums;
  Curve curve{{"step", "loss", "mse", "penalty", "lambda", "branches_on", "ideal_speedup"}};
  std::int64_t step = 0;
  std::int64_t resumed_from = 0;
  std::int64_t saved_at = -1;
  std::int64_t reported_step = 0;
  Clock::time_point start = Clock::now();
  double reported_at = 0;
};

namespace {

void check_target(const RouterTrainingOptions& options, const Denoiser& model) {
  if (!options.target_speedup) return;
  const auto price = price_of(make_schedule(options.spacing).steps(), model.cost());
  if (*options.target_speedup <= price.largest()) return;
  throw InputError(fmt::format(
      "target speed-up {}: reusing every branch of the {} cache steps of {} gives "
      "{:.3f}, the largest possible",
      *options.target_speedup, price.cache_steps, model.info().architecture, price.largest()));
}

}  // namespace

RouterTrainer::RouterTrainer(std::shared_ptr<const Denoiser> model,
                             std::shared_ptr<const DataSet> data,
                             const RouterTrainingOptions& options,
                             const std::filesystem::path& folder) {
  if (!model) throw InputError("router training needs a model, not a null pointer");
  check_options(options);
  check_model(options, model->info(), data != nullptr);
  if (data) check_data(data->info(), model->info());
  check_target(options, *model);
  impl_ = std::make_unique<Impl>(std::move(model), std::move(data), options, folder);
}

RouterTrainer::~RouterTrainer() = default;

std::int64_t RouterTrainer::iteration() const { return impl_->step; }

RouterTrainingResult RouterTrainer::run(const TrainingProgressFunction& progress,
                                        std::stop_token stop) {
  Impl& impl = *impl_;
  with_our_errors("try a smaller batch", [&] {
    if (!impl.data) {
      impl.data = own_samples(*impl.model, impl.schedule, impl.options.own_samples,
                              impl.options.seed, impl.folder.path(), progress, stop);
    }
    impl.train(progress, stop);
  });
  return impl.result();
}

}  // namespace l2c
