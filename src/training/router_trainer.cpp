#include "l2c/training/router_trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "check_data.h"
#include "environment.h"
#include "l2c/cache/recall.h"
#include "l2c/cache/router_steps.h"
#include "l2c/core/error.h"
#include "l2c/core/log.h"
#include "l2c/core/torch_errors.h"
#include "l2c/datasets/dataset.h"
#include "l2c/io/safetensors.h"
#include "l2c/models/denoiser.h"
#include "l2c/sampling/denoise.h"
#include "l2c/training/autocast.h"
#include "l2c/training/curve.h"
#include "l2c/training/random.h"
#include "l2c/training/router_objective.h"
#include "l2c/training/router_trajectory.h"
#include "l2c/training/run_folder.h"
#include "lambda_controller.h"
#include "own_samples.h"
#include "reporting.h"
#include "router_logits.h"
#include "router_results.h"
#include "router_settings.h"
#include "saved_tensors.h"

namespace l2c {

namespace {

constexpr const char* advice = "try a smaller batch";
constexpr const char* own_samples_key = "own_samples";

std::vector<double> numbers(const at::Tensor& tensor) {
  const at::Tensor values = tensor.detach().to(at::kCPU, at::kDouble).contiguous();
  const double* first = values.const_data_ptr<double>();
  return {first, first + values.numel()};
}

int count_of(const std::vector<bool>& cache_steps) {
  return static_cast<int>(std::count(cache_steps.begin(), cache_steps.end(), true));
}

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
        recall(parse_recall(options_.recall)),
        cache_steps(router_cache_steps(options_.group, shape)),
        logits(first_logits(), options_.clamp) {
    recall->check(shape);
    if (options.target_speedup) {
      const int rows = count_of(cache_steps);
      controller.emplace(price_of(schedule.steps(), rows, model->cost()), *options.target_speedup,
                         options.threshold, options.learning_rate, options.trajectory ? rows : 1);
    }
    if (const auto saved = folder.load(settings)) restore(*saved);
  }

  [[nodiscard]] at::Tensor first_logits() const {
    if (!options.initial_router.empty()) {
      const auto start = router_for(Router::load(options.initial_router), shape);
      return logits_of(start).to(model->device());
    }
    std::vector<at::Tensor> rows;
    for (int row = 0; row < schedule.steps(); ++row) {
      rows.push_back(random.normal(DrawFor::router_logits, row, {shape.units()}));
    }
    return at::stack(rows).to(model->device());
  }

  void restore(const SavedState& saved) {
    logits.load(saved.tensors);
    curve.from_tensor(saved.tensor("curve"));
    sums.from_tensor(saved.tensor("sums"));
    if (controller) controller->restore(numbers(saved.tensor("lambda_controller")));
    step = saved.step;
    trained_on = io::metadata_value(saved.metadata, own_samples_key);
    const auto asked = numbers(saved.tensor("iterations")).at(0);
    if (static_cast<double>(options.iterations) < asked) {
      throw InputError(fmt::format(
          "iterations: {} in the checkpoint {}, {} now; only more are possible: the training goes "
          "on then",
          asked, saved.file.string(), options.iterations));
    }
    warn_of_other_environment(saved, settings);
  }

  void save() {
    io::TensorMap tensors;
    logits.save(tensors);
    check_finite(tensors, step);
    tensors["curve"] = curve.to_tensor();
    tensors["sums"] = sums.to_tensor();
    tensors["iterations"] = at::tensor({options.iterations}, at::kLong);
    if (controller) {
      tensors["lambda_controller"] = at::tensor(at::ArrayRef<double>(controller->save()));
    }
    io::Metadata metadata;
    if (!trained_on.empty()) metadata[own_samples_key] = trained_on;
    folder.save(step, tensors, settings, std::move(metadata));
    saved_at = step;
  }

  [[nodiscard]] double lambda() const {
    return controller ? controller->lambda() : options.lambda.value_or(published_lambda);
  }

  [[nodiscard]] Router router(RouterInfo info) const {
    return to_router(logits.values(), std::move(info));
  }
  [[nodiscard]] PlanCost price() const {
    return price_router(router({.group = options.group}), options.threshold, shape, model->cost());
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
    at::Tensor x0 = examples.x;
    at::Tensor labels = examples.y;
    if (options.flip) {
      x0 = at::where(chosen(DrawFor::flip, 0.5, count).view({-1, 1, 1, 1}), x0.flip(3), x0);
    }
    if (drops_labels(options)) labels = drop_labels(labels);
    const at::Tensor noise = random.normal(DrawFor::noise, step, x0.sizes());
    const auto device = model->device();
    return {x0.to(device), noise.to(device), labels.to(device)};
  }

  void iterate() {
    logits.clear_gradients();
    if (options.trajectory) {
      iterate_over_run();
    } else {
      iterate_one_step();
    }
    logits.step(options.learning_rate);
    ++step;
    if (controller && controller->due(step)) controller->control(step, price().ideal_speedup);
  }

  void observe(int cache_step, int row) {
    if (!controller) return;
    controller->observe(cache_step, numbers(logits.row(row).sigmoid()),
                        numbers(logits.row(row).grad()));
  }

  void iterate_over_run() {
    const auto& info = model->info();
    const std::vector<std::int64_t> sizes{options.batch_size, info.in_channels, info.input_size,
                                          info.input_size};
    const at::Tensor noise = random.normal(DrawFor::noise, step, sizes);
    auto labels = at::tensor(at::ArrayRef<std::int64_t>(
        random.integers(DrawFor::own_samples, step, options.batch_size, info.num_classes)));
    if (drops_labels(options)) labels = drop_labels(labels);
    std::vector<TrajectoryStep> trained;
    {
      const Autocast autocast(model->device(), options.dtype == "bf16");
      trained =
          router_trajectory(*model, schedule, cache_steps,
                            [&](int row) -> const at::Tensor& { return logits.row(row); }, lambda(),
                            noise.to(model->device()), labels.to(model->device()),
                            {.recall = recall,
                             .threshold = options.threshold,
                             .hard = options.hard,
                             .guidance = options.guidance,
                             .guided_channels = std::min(3, static_cast<int>(info.in_channels))});
    }
    double error = 0;
    double penalty = 0;
    for (const TrajectoryStep& one : trained) {
      error += one.error;
      penalty += lambda() * one.weight_sum;
      require_finite("the loss", one.error + one.weight_sum, one.row);
    }
    require_finite("the gradients' norm", logits.gradient_norm(), trained.front().row);
    const auto rows = static_cast<double>(trained.size());
    sums.add({(error + penalty) / rows, error / rows, penalty / rows});
    for (std::size_t i = 0; i < trained.size(); ++i) observe(static_cast<int>(i), trained[i].row);
  }

  // Of `count` examples each with that probability, in this step.
  [[nodiscard]] at::Tensor chosen(DrawFor purpose, double share, std::int64_t count) const {
    const auto draws = random.uniform(purpose, step, count);
    return at::tensor(at::ArrayRef<double>(draws)) < share;
  }

  [[nodiscard]] at::Tensor drop_labels(const at::Tensor& labels) const {
    return labels.masked_fill(chosen(DrawFor::label_dropout, options.label_dropout, labels.size(0)),
                              *model->info().null_label);
  }

  void iterate_one_step() {
    const auto cache_step =
        random.integers(DrawFor::timestep, step, 1, schedule.steps() / 2).front();
    const int row = 2 * static_cast<int>(cache_step);
    RouterLoss loss;
    {
      const Autocast autocast(model->device(), options.dtype == "bf16");
      loss = router_loss(*model, router_target(*model, schedule, row, batch()), logits.row(row),
                         lambda());
    }
    const auto mse = loss.mse.item<double>();
    const double penalty = lambda() * loss.weight_sum.item<double>();
    require_finite("the loss", mse + penalty, row);
    loss.total.backward();
    require_finite("the gradients' norm", logits.gradient_norm(), row);
    sums.add({mse + penalty, mse, penalty});
    observe(static_cast<int>(cache_step), row);
  }

  void require_finite(const char* what, double value, int row) const {
    if (std::isfinite(value)) return;
    throw RunError(
        fmt::format("iteration {} (row {}): {} is not finite; '{}' keeps the checkpoints before. "
                    "Look at the data, or use fp32",
                    step + 1, row, what, folder.path().string()));
  }

  void report(ProgressReporter& reporter) {
    if (sums.count() == 0) return;
    const PlanCost cost = price();
    const auto [loss, mse, penalty] = sums.mean();
    sums = {};
    curve.add({static_cast<double>(step), loss, mse, penalty, lambda(),
               static_cast<double>(cost.cache_step_branches - cost.reused), cost.ideal_speedup});
    reporter(step, step <= options.iterations ? options.iterations : limit(), curve);
  }

  void make_own_samples(const TrainingProgressFunction& progress, const std::stop_token& stop) {
    auto made = own_samples(*model, schedule, options.own_samples, options.seed, folder.path(),
                            progress, stop);
    const std::string& fingerprint = made->info().fingerprint;
    if (!trained_on.empty() && trained_on != fingerprint) {
      throw InputError(fmt::format(
          "the own samples in '{}' are not those that its training went on: put "
          "own-samples.safetensors back as it was, or name another folder for a new training",
          folder.path().string()));
    }
    trained_on = fingerprint;
    data = std::move(made);
  }

  void train(const TrainingProgressFunction& progress, const std::stop_token& stop) {
    if (!options.trajectory) {
      if (!data) make_own_samples(progress, stop);
      order.emplace(random, data->info().size, options.batch_size);
    }
    ProgressReporter reporter(progress, step, options.batch_size);
    while (!finished()) {
      iterate();
      const bool last = finished();
      if (last || step % options.report_every == 0) report(reporter);
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

  [[nodiscard]] std::string trained_with() const {
    return options.trajectory ? "none, runs from noise" : data->info().description;
  }

  RouterTrainingResult result() {
    const PlanCost cost = price();
    Router trained = router({.model_fingerprint = model->info().fingerprint,
                             .spacing = options.spacing,
                             .sampler = "ddim",
                             .threshold = options.threshold,
                             .lambda = lambda(),
                             .training = describe(options, step, trained_with()),
                             .group = options.group,
                             .recall = options.recall == "latest" ? "" : recall->name()});
    auto files =
        write_results(folder.path(), LearnedRouter(trained, options.threshold), shape, curve);
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
  std::shared_ptr<const Recall> recall;
  std::vector<bool> cache_steps;  // an entry an evaluation
  RouterLogits logits;
  std::optional<LambdaController> controller;
  std::optional<DataOrder> order;
  std::string trained_on;  // fingerprint of the own samples; empty: none, or not known yet
  LossSums sums;
  Curve curve{{"step", "loss", "mse", "penalty", "lambda", "branches_on", "ideal_speedup"}};
  std::int64_t step = 0;
  std::int64_t saved_at = -1;
};

namespace {

void check_target(const RouterTrainingOptions& options, const Denoiser& model) {
  if (!options.target_speedup) return;
  const auto schedule = make_schedule(options.spacing);
  const auto cache_steps =
      router_cache_steps(options.group, run_shape(model.info().blocks, schedule, "ddim"));
  const auto price = price_of(schedule.steps(), count_of(cache_steps), model.cost());
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
  const c10::InferenceMode no_inference(false);
  with_our_errors(advice, [&] {
    const auto& info = model->info();
    check_options(options);
    check_model(options, info, data != nullptr);
    if (data && options.trajectory) {
      throw InputError("training on whole runs (trajectory) needs no data: leave them out");
    }
    if (data) check_data({info.in_channels, info.input_size, info.num_classes}, data->info());
    check_target(options, *model);
    impl_ = std::make_unique<Impl>(std::move(model), std::move(data), options, folder);
  });
}

RouterTrainer::~RouterTrainer() = default;

std::int64_t RouterTrainer::iteration() const { return impl_->step; }

RouterTrainingResult RouterTrainer::run(const TrainingProgressFunction& progress,
                                        std::stop_token stop) {
  const c10::InferenceMode no_inference(false);
  const at::AutoGradMode with_gradients(true);
  std::optional<RouterTrainingResult> result;
  with_our_errors(advice, [&] {
    impl_->train(progress, stop);
    result = impl_->result();
  });
  return std::move(*result);
}

}  // namespace l2c
