#include "l2c/ops/residual_stream.h"

#include <utility>

#include "cpu/operations.h"
#include "cuda/operations.h"

namespace l2c {

BranchValue single(at::Tensor tensor) {
  BranchValue value;
  value.push_back(Term{std::move(tensor), 1});
  return value;
}

}  // namespace l2c

namespace l2c::ops {

namespace {

at::Tensor plus(const at::Tensor& tokens, const Term& term, const at::Tensor& gate) {
  if (!gate.defined()) return at::add(tokens, term.value, term.weight);
  return at::addcmul(tokens, gate.unsqueeze(1), term.value, term.weight);
}

void add_in_place(at::Tensor& tokens, const Term& term, const at::Tensor& gate) {
  if (!gate.defined()) {
    tokens.add_(term.value, term.weight);
  } else {
    tokens.addcmul_(gate.unsqueeze(1), term.value, term.weight);
  }
}

// Autograd needs the old values, and LibTorch forbids writing an inference tensor outside of
// inference mode.
bool may_write(const at::Tensor& tokens) {
  return !at::GradMode::is_enabled() &&
         (!tokens.is_inference() || c10::InferenceMode::is_enabled());
}

}  // namespace

ResidualStream::ResidualStream(at::Tensor tokens, at::ScalarType dtype)
    : tokens_(std::move(tokens)), dtype_(dtype) {}

void ResidualStream::add(BranchValue value, at::Tensor gate) {
  pending_.emplace_back(std::move(value), std::move(gate));
}

at::Tensor ResidualStream::normed(const Norm& norm, const Modulation& modulation,
                                  std::optional<at::ScalarType> dtype) {
  const at::ScalarType type = dtype.value_or(dtype_);
  if (cpu::usable(tokens_, pending_) && cpu::usable(modulation)) {
    if (!pending_.empty()) own();
    const auto pending = std::exchange(pending_, {});
    return cpu::add_and_norm(tokens_, pending, norm, modulation, type);
  }
  if (cuda::usable(tokens_, pending_, norm, modulation, type)) {
    if (!pending_.empty()) own();
    const auto pending = std::exchange(pending_, {});
    return cuda::add_and_norm(tokens_, pending, norm, modulation, type);
  }
  flush();
  const at::Tensor y = norm_modulate(tokens_, norm, modulation);
  return type == at::kFloat ? y : y.to(type);
}

at::Tensor ResidualStream::tokens() {
  flush();
  shared_ = true;
  return tokens_;
}

void ResidualStream::replace(at::Tensor tokens) {
  pending_.clear();
  tokens_ = std::move(tokens);
  shared_ = true;
}

void ResidualStream::own() {
  if (!shared_ && may_write(tokens_)) return;
  tokens_ = tokens_.clone();
  shared_ = false;
}

void ResidualStream::flush() {
  if (pending_.empty()) return;
  if (cpu::usable(tokens_, pending_)) {
    own();
    cpu::add(tokens_, pending_);
    pending_.clear();
    return;
  }
  if (cuda::usable(tokens_, pending_)) {
    own();
    cuda::add(tokens_, pending_);
    pending_.clear();
    return;
  }
  for (const auto& [value, gate] : pending_) {
    for (const Term& term : value) {
      if (shared_ || !may_write(tokens_)) {
        tokens_ = plus(tokens_, term, gate);
        shared_ = false;
      } else {
        add_in_place(tokens_, term, gate);
      }
    }
  }
  pending_.clear();
}

}  // namespace l2c::ops
