#include "l2c/training/adamw.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <utility>

#include "l2c/core/error.h"

namespace l2c {

namespace {

std::vector<at::Tensor> zeros_like_each(const std::vector<NamedTensor>& parameters) {
  std::vector<at::Tensor> zeros;
  zeros.reserve(parameters.size());
  for (const auto& parameter : parameters) zeros.push_back(at::zeros_like(parameter.value));
  return zeros;
}

std::string key(const std::string& prefix, const NamedTensor& parameter, const char* what) {
  return fmt::format("{}.{}.{}", prefix, parameter.name, what);
}

void read_into(at::Tensor& target, const io::TensorMap& from, const std::string& name) {
  const auto found = from.find(name);
  if (found == from.end()) {
    throw InputError(fmt::format("the checkpoint lacks {}: it is not one of this training", name));
  }
  if (found->second.sizes() != target.sizes()) {
    throw InputError(fmt::format("the checkpoint's {} has shape [{}] instead of [{}]", name,
                                 fmt::join(found->second.sizes(), ", "),
                                 fmt::join(target.sizes(), ", ")));
  }
  target.copy_(found->second);
}

}  // namespace

AdamW::AdamW(std::vector<NamedTensor> parameters, AdamWOptions options)
    : parameters_(std::move(parameters)),
      options_(options),
      exp_avg_(zeros_like_each(parameters_)),
      exp_avg_sq_(zeros_like_each(parameters_)) {
  for (const auto& parameter : parameters_) {
    steps_.push_back(at::zeros({}, parameter.value.options().dtype(at::kFloat)));
  }
}

void AdamW::step(double learning_rate) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> values, gradients, averages, squares, steps;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    at::Tensor& value = parameters_[i].value;
    if (!value.grad().defined()) continue;
    values.push_back(value);
    gradients.push_back(value.grad());
    averages.push_back(exp_avg_[i]);
    squares.push_back(exp_avg_sq_[i]);
    steps.push_back(steps_[i].add_(1));
  }
  if (values.empty()) return;
  at::_fused_adamw_(values, gradients, averages, squares, {}, steps, learning_rate, options_.beta1,
                    options_.beta2, options_.weight_decay, options_.eps, /*amsgrad=*/false,
                    /*maximize=*/false);
  clear_gradients();
}

void AdamW::clear_gradients() {
  for (auto& parameter : parameters_) parameter.value.mutable_grad() = at::Tensor();
}

std::vector<at::Tensor> AdamW::gradients() const {
  std::vector<at::Tensor> gradients;
  for (const auto& parameter : parameters_) {
    if (parameter.value.grad().defined()) gradients.push_back(parameter.value.grad());
  }
  return gradients;
}

double AdamW::gradient_norm() const {
  const at::NoGradGuard no_grad;
  const auto all = gradients();
  return all.empty() ? 0 : at::stack(at::_foreach_norm(all)).norm().item<double>();
}

double AdamW::clip(double norm) {
  const double total = gradient_norm();
  // As torch.nn.utils.clip_grad_norm_ guards its division.
  constexpr double guard = 1e-6;
  const double factor = norm / (total + guard);
  if (std::isfinite(total) && factor < 1) {
    const at::NoGradGuard no_grad;
    at::_foreach_mul_(gradients(), factor);
  }
  return total;
}

void AdamW::save_state(io::TensorMap& into, const std::string& prefix) const {
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    into[key(prefix, parameters_[i], "exp_avg")] = exp_avg_[i];
    into[key(prefix, parameters_[i], "exp_avg_sq")] = exp_avg_sq_[i];
    into[key(prefix, parameters_[i], "step")] = steps_[i];
  }
}

void AdamW::load_state(const io::TensorMap& from, const std::string& prefix) {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    read_into(exp_avg_[i], from, key(prefix, parameters_[i], "exp_avg"));
    read_into(exp_avg_sq_[i], from, key(prefix, parameters_[i], "exp_avg_sq"));
    read_into(steps_[i], from, key(prefix, parameters_[i], "step"));
  }
}

}  // namespace l2c
