#include "diffusion_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "l2c/core/error.h"
#include "l2c/diffusion/loss.h"
#include "l2c/training/autocast.h"
#include "l2c/training/dit_init.h"

namespace l2c {

namespace {

std::vector<NamedTensor> parameters_of(DiTWeights& weights) {
  std::vector<NamedTensor> parameters;
  for_each_parameter(weights, [&](const std::string& name, at::Tensor& value) {
    parameters.push_back({name, value.requires_grad_(true)});
  });
  return parameters;
}

std::vector<at::Tensor> values_of(DiTWeights& weights) {
  std::vector<at::Tensor> values;
  for_each_parameter(weights,
                     [&](const std::string&, at::Tensor& value) { values.push_back(value); });
  return values;
}

void mirror(at::Tensor& x, const std::vector<double>& draws) {
  const at::Tensor mirrored = x.flip(3);
  for (std::size_t i = 0; i < draws.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i);
    if (draws[i] < 0.5) x.select(0, row).copy_(mirrored.select(0, row));
  }
}

at::Tensor to_tensor(const std::vector<std::int64_t>& values) {
  const at::Tensor tensor = at::empty({static_cast<std::int64_t>(values.size())}, at::kLong);
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<std::int64_t>());
  return tensor;
}

void require_finite(const char* what, double value, std::int64_t step) {
  if (std::isfinite(value)) return;
  throw RunError(fmt::format(
      "{} of step {} is not finite: lower the learning rate, clip the gradients or warm up longer, "
      "in a new folder; the last checkpoint stays as it was",
      what, step + 1));
}

void load_weights(const DiTConfig& config, DiTWeights& weights, const io::TensorMap& from,
                  const std::string& prefix) {
  const at::NoGradGuard no_grad;
  for (auto& [name, target] : unpack_dit_weights(config, weights)) {
    const auto found = from.find(prefix + name);
    if (found == from.end() || found->second.sizes() != target.sizes()) {
      throw InputError(fmt::format(
          "the checkpoint lacks {}{} or has it in another shape: it is not one of this training",
          prefix, name));
    }
    target.copy_(found->second);
  }
}

}  // namespace

DiffusionStep::DiffusionStep(const DiTConfig& config, std::shared_ptr<const DataSet> data,
                             const DiffusionTrainingOptions& options, at::Device device)
    : config_(config),
      data_(std::move(data)),
      options_(options),
      device_(device),
      random_(options.seed),
      order_(random_, data_->info().size, options.batch_size),
      schedule_(make_schedule("")),
      weights_(
          pack_dit_weights(config, StoredWeights(initial_dit_weights(config, random_)), device)),
      average_(
          pack_dit_weights(config, StoredWeights(unpack_dit_weights(config, weights_)), device)),
      averaging_(values_of(weights_), values_of(average_), options.ema_decay, options.ema_ramp),
      model_(DiT::around(config, weights_)),
      optimizer_(parameters_of(weights_), {.weight_decay = options.weight_decay}) {}

DiffusionStep::Batch DiffusionStep::Batch::rows(std::int64_t first, std::int64_t count) const {
  return {x0.narrow(0, first, count), y.narrow(0, first, count), t.narrow(0, first, count),
          noise.narrow(0, first, count)};
}

DiffusionStep::Batch DiffusionStep::draw(std::int64_t step) {
  DataBatch examples = data_->batch(order_.batch(step));
  const std::int64_t count = examples.x.size(0);
  if (options_.flip) mirror(examples.x, random_.uniform(DrawFor::flip, step, count));
  if (config_.class_dropout_prob > 0) {
    const auto draws = random_.uniform(DrawFor::label_dropout, step, count);
    auto* labels = examples.y.mutable_data_ptr<std::int64_t>();
    for (std::size_t i = 0; i < draws.size(); ++i) {
      if (draws[i] < config_.class_dropout_prob) labels[i] = config_.num_classes;
    }
  }
  const auto t = random_.integers(DrawFor::timestep, step, count, schedule_.steps());
  return {examples.x.to(device_), examples.y.to(device_), to_tensor(t).to(device_),
          random_.normal(DrawFor::noise, step, examples.x.sizes()).to(device_)};
}

StepLoss DiffusionStep::accumulate_gradients(const Batch& batch) {
  const std::int64_t count = batch.x0.size(0);
  const std::int64_t at_a_time = options_.micro_batch > 0 ? options_.micro_batch : count;
  StepLoss sums;
  for (std::int64_t first = 0; first < count; first += at_a_time) {
    const Batch part = batch.rows(first, std::min(at_a_time, count - first));
    const at::Tensor x_t = q_sample(schedule_, part.t, part.x0, part.noise);
    at::Tensor output;
    {
      const Autocast autocast(device_, options_.bf16);
      ComputeAllRunner runner;
      output = model_->forward(x_t, part.t, part.y, runner);
    }
    const TrainingLoss loss = training_loss(schedule_, part.t, part.x0, x_t, part.noise, output);
    (loss.total().sum() / static_cast<double>(count)).backward();
    sums.mse += loss.mse.sum().item<double>();
    if (loss.vb.defined()) sums.vb += loss.vb.sum().item<double>();
  }
  sums.mse /= static_cast<double>(count);
  sums.vb /= static_cast<double>(count);
  return sums;
}

double DiffusionStep::clip() {
  return options_.clip_norm ? optimizer_.clip(*options_.clip_norm) : optimizer_.gradient_norm();
}

StepLoss DiffusionStep::operator()(std::int64_t step) {
  optimizer_.clear_gradients();
  StepLoss loss = accumulate_gradients(draw(step));
  require_finite("the loss", loss.mse + loss.vb, step);
  loss.gradient_norm = clip();
  require_finite("the gradients' norm", loss.gradient_norm, step);
  optimizer_.step(learning_rate(options_, step));
  averaging_.update(step);
  return loss;
}

void DiffusionStep::save(io::TensorMap& into) const {
  for (const auto& [name, value] : unpack_dit_weights(config_, weights_)) {
    into["model." + name] = value.detach();
  }
  for (const auto& [name, value] : unpack_dit_weights(config_, average_)) {
    into["ema." + name] = value;
  }
  optimizer_.save_state(into, "opt");
}

void DiffusionStep::load(const io::TensorMap& from) {
  load_weights(config_, weights_, from, "model.");
  load_weights(config_, average_, from, "ema.");
  optimizer_.load_state(from, "opt");
}

io::TensorMap DiffusionStep::averaged_weights(bool bf16) const {
  io::TensorMap tensors;
  for (const auto& [name, value] : unpack_dit_weights(config_, average_)) {
    // The positions are not learned: rounding them would only make them wrong.
    const bool half = bf16 && name != "pos_embed";
    tensors[name] = value.to(at::kCPU, half ? at::kBFloat16 : at::kFloat);
  }
  return tensors;
}

}  // namespace l2c
