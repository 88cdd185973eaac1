#include "router_logits.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "l2c/core/error.h"

namespace l2c {

namespace {

constexpr const char* logits_name = "logits";
constexpr const char* optimizer_prefix = "adamw";

std::vector<NamedTensor> parameters(const at::Tensor& initial) {
  std::vector<NamedTensor> rows;
  for (std::int64_t row = 0; row < initial.size(0); ++row) {
    rows.push_back({fmt::format("row.{}", row), initial[row].clone().requires_grad_()});
  }
  return rows;
}

}  // namespace

RouterLogits::RouterLogits(const at::Tensor& initial, double clamp)
    : optimizer_(parameters(initial), {}), clamp_(clamp) {}

const at::Tensor& RouterLogits::row(int row) const {
  return optimizer_.parameters().at(static_cast<std::size_t>(row)).value;
}

void RouterLogits::step(double learning_rate) {
  optimizer_.step(learning_rate);
  const at::NoGradGuard no_grad;
  for (const auto& parameter : optimizer_.parameters()) parameter.value.clamp_(-clamp_, clamp_);
}

at::Tensor RouterLogits::values() const {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> rows;
  for (const auto& parameter : optimizer_.parameters()) rows.push_back(parameter.value);
  return at::stack(rows).cpu();
}

void RouterLogits::save(io::TensorMap& into) const {
  into[logits_name] = values();
  optimizer_.save_state(into, optimizer_prefix);
}

void RouterLogits::load(const io::TensorMap& from) {
  const at::NoGradGuard no_grad;
  const auto found = from.find(logits_name);
  const at::Tensor now = values();
  if (found == from.end() || found->second.sizes() != now.sizes()) {
    throw InputError(fmt::format("the checkpoint has no logits for {} rows of {} units",
                                 now.size(0), now.size(1)));
  }
  for (int i = 0; i < static_cast<int>(now.size(0)); ++i) row(i).copy_(found->second[i]);
  optimizer_.load_state(from, optimizer_prefix);
}

}  // namespace l2c
