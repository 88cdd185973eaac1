#include "stream_case.h"

namespace l2c::test {

namespace {

// Contiguous, `offset` elements behind an aligned address.
at::Tensor random_values(at::IntArrayRef shape, at::ScalarType type, std::int64_t offset,
                         at::Device device) {
  const auto values = at::randn(shape).to(type);
  const auto memory = at::empty({values.numel() + offset}, values.options().device(device));
  return memory.narrow(0, offset, values.numel()).view(shape).copy_(values);
}

at::Tensor exact(const at::Tensor& tensor) { return tensor.to(at::kCPU, at::kDouble); }

}  // namespace

StreamInputs::StreamInputs(const StreamCase& of, at::Device device) {
  at::manual_seed(51);
  const std::vector<std::int64_t> shape = {of.rows, of.tokens, of.width};
  tokens = (3 + at::randn(shape)).to(device);
  // Parts of one wide tensor, as a model's modulations are.
  const auto parts = at::randn({of.rows, 4 * of.width}).to(device).split(of.width, 1);
  sum = exact(tokens);
  for (int i = 0; i < of.branches; ++i) {
    const auto value =
        random_values(shape, i % 2 == 0 ? at::kFloat : at::kBFloat16, of.offset, device);
    const at::Tensor gate = i % 3 == 2 ? at::Tensor() : parts[static_cast<std::size_t>(i % 2)];
    const float weight = i % 4 == 1 ? 0.5F : 1.0F;
    pending.emplace_back(BranchValue{Term{value, weight}}, gate);
    sum += weight * exact(value) * (gate.defined() ? exact(gate).unsqueeze(1) : at::ones({1}));
  }
  if (of.affine) norm = {1e-5, at::randn({of.width}).to(device), at::randn({of.width}).to(device)};
  if (of.modulated) modulation = {parts[2], parts[3]};
  normed = (sum - sum.mean(-1, true)) / (sum.var(-1, false, true) + norm.eps).sqrt();
  if (of.affine) normed = normed * exact(norm.weight) + exact(norm.bias);
  if (of.modulated) {
    normed =
        normed * (1 + exact(modulation.scale).unsqueeze(1)) + exact(modulation.shift).unsqueeze(1);
  }
}

}  // namespace l2c::test
