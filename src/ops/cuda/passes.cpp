#include "cuda/passes.h"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace l2c::ops::cuda {

namespace {

bool is_value(const at::Tensor& tensor, const at::Tensor& tokens) {
  const auto type = tensor.scalar_type();
  return (type == at::kFloat || type == at::kBFloat16) && tensor.is_contiguous() &&
         tensor.device() == tokens.device() && tensor.sizes() == tokens.sizes();
}

bool is_fp32_on(const at::Tensor& tensor, const at::Tensor& tokens) {
  return tensor.scalar_type() == at::kFloat && tensor.device() == tokens.device();
}

// One row a sample: a gate, a shift or a scale.
bool is_per_sample(const at::Tensor& tensor, const at::Tensor& tokens) {
  return is_fp32_on(tensor, tokens) && tensor.dim() == 2 && tensor.size(0) == tokens.size(0) &&
         tensor.size(1) == tokens.size(2) && tensor.stride(1) == 1;
}

bool is_affine(const at::Tensor& tensor, const at::Tensor& tokens) {
  return !tensor.defined() || (is_fp32_on(tensor, tokens) && tensor.dim() == 1 &&
                               tensor.size(0) == tokens.size(2) && tensor.is_contiguous());
}

Element element(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kFloat ? Element::fp32 : Element::bf16;
}

const float* floats(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<float>() : nullptr;
}

ResidualPass pass_over(at::Tensor& tokens) {
  ResidualPass pass;
  pass.tokens = tokens.data_ptr<float>();
  pass.rows = tokens.size(0) * tokens.size(1);
  pass.d = tokens.size(2);
  pass.rows_per_sample = tokens.size(1);
  return pass;
}

Summand summand(const Term& term, const at::Tensor& gate) {
  Summand result;
  result.value = term.value.const_data_ptr();
  result.gate = floats(gate);
  result.gate_stride = gate.defined() ? gate.stride(0) : 0;
  result.weight = term.weight;
  result.element = element(term.value);
  return result;
}

bool is_aligned(const void* pointer, std::size_t bytes) {
  return reinterpret_cast<std::uintptr_t>(pointer) % bytes == 0;
}

bool in_fours(const void* pointer, Element type) {
  return is_aligned(pointer, type == Element::fp32 ? 16 : 8);
}

bool in_fours(const float* pointer, std::int64_t stride = 0) {
  return is_aligned(pointer, 16) && stride % 4 == 0;
}

bool in_fours(const ResidualPass& pass) {
  return pass.d % 4 == 0 && in_fours(pass.tokens) && in_fours(pass.out, pass.out_element) &&
         in_fours(pass.weight) && in_fours(pass.bias) &&
         in_fours(pass.shift, pass.modulation_stride) &&
         in_fours(pass.scale, pass.modulation_stride) &&
         std::all_of(pass.summands, pass.summands + pass.summand_count, [](const Summand& s) {
           return in_fours(s.value, s.element) && in_fours(s.gate, s.gate_stride);
         });
}

}  // namespace

bool fits(const at::Tensor& tokens, const Pending& pending) {
  if (tokens.dim() != 3 || tokens.scalar_type() != at::kFloat || !tokens.is_contiguous() ||
      tokens.numel() == 0 || tokens.size(2) > most_width ||
      tokens.size(0) * tokens.size(1) > std::numeric_limits<std::int32_t>::max()) {
    return false;
  }
  return std::ranges::all_of(pending, [&](const auto& entry) {
    const auto& [value, gate] = entry;
    if (gate.defined() && !is_per_sample(gate, tokens)) return false;
    return std::ranges::all_of(value,
                               [&](const Term& term) { return is_value(term.value, tokens); });
  });
}

bool fits(const at::Tensor& tokens, const Norm& norm, const Modulation& modulation) {
  if (!is_affine(norm.weight, tokens) || !is_affine(norm.bias, tokens)) return false;
  if (!modulation.scale.defined()) return !modulation.shift.defined();
  return modulation.shift.defined() && is_per_sample(modulation.scale, tokens) &&
         is_per_sample(modulation.shift, tokens) &&
         modulation.scale.stride(0) == modulation.shift.stride(0);
}

std::vector<ResidualPass> passes(at::Tensor& tokens, const Pending& pending) {
  std::vector<ResidualPass> result;
  for (const auto& [value, gate] : pending) {
    for (const Term& term : value) {
      if (result.empty() || result.back().summand_count == most_summands) {
        result.push_back(pass_over(tokens));
      }
      ResidualPass& pass = result.back();
      pass.summands[pass.summand_count++] = summand(term, gate);
    }
  }
  return result;
}

std::vector<ResidualPass> passes(at::Tensor& tokens, const Pending& pending, const Norm& norm,
                                 const Modulation& modulation, at::Tensor& out) {
  std::vector<ResidualPass> result = passes(tokens, pending);
  if (result.empty()) result.push_back(pass_over(tokens));
  ResidualPass& last = result.back();
  last.out = out.data_ptr();
  last.out_element = element(out);
  last.eps = static_cast<float>(norm.eps);
  last.weight = floats(norm.weight);
  last.bias = floats(norm.bias);
  last.shift = floats(modulation.shift);
  last.scale = floats(modulation.scale);
  last.modulation_stride = modulation.scale.defined() ? modulation.scale.stride(0) : 0;
  return result;
}

Launch launch_of(const ResidualPass& pass) {
  constexpr std::int64_t warp = 32;
  constexpr std::int64_t most_threads = 512;
  Launch launch;
  launch.in_fours = in_fours(pass);
  const std::int64_t pieces = launch.in_fours ? pass.d / 4 : pass.d;
  launch.threads = static_cast<int>(std::min(most_threads, (pieces + warp - 1) / warp * warp));
  launch.shared_bytes = static_cast<std::size_t>(pass.d) * sizeof(float);
  return launch;
}

}  // namespace l2c::ops::cuda
