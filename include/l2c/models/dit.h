// Scalable Diffusion Models with Transformers (arXiv 2212.09748); reference: facebookresearch/DiT,
// models.py.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "l2c/io/checkpoint.h"
#include "l2c/models/denoiser.h"
#include "l2c/models/dit_config.h"
#include "l2c/models/dit_weights.h"
#include "l2c/models/weight_source.h"

namespace l2c {

class DiT final : public Denoiser {
 public:
  // Takes weights with the official names, strictly: missing, unexpected, misshapen and
  // non-floating tensors are listed in one InputError. fp16/bf16 weights are widened to fp32. The
  // source is read tensor by tensor, with the pages of a mapped file dropped again: beside the
  // model, memory holds one tensor at a time. Nothing of it is referenced afterwards. A CUDA device
  // switches TF32 off for the process (disable_tf32).
  // With `products` (fp32 or bf16) for inference alone, and faster: see pack_dit_weights. Such a
  // model throws Error when gradients are on.
  static std::shared_ptr<const DiT> load(const DiTConfig& config, const WeightSource& source,
                                         at::Device device = at::kCPU,
                                         std::optional<at::ScalarType> products = {});
  static std::shared_ptr<const DiT> load(const DiTConfig& config, const io::Checkpoint& checkpoint,
                                         at::Device device = at::kCPU,
                                         std::optional<at::ScalarType> products = {});

  // Around weights that the caller may go on changing, between two calls of forward(): how a
  // trainer sees the one model. They are shared, not copied; info().fingerprint is empty. Throws
  // InputError (a configuration out of range), Error (weights that do not fit it).
  static std::shared_ptr<const DiT> around(const DiTConfig& config, DiTWeights weights);

  // x must be fp32. Differentiable in x, in the weights that require gradients and in
  // whatever the runner hands in when gradients are on. Under LibTorch's autocast products are
  // bf16, the residual stream, norms and the result fp32. Throws InputError when shapes, dtypes or
  // devices are not those of Denoiser::forward.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& t, const at::Tensor& y,
                     BranchRunner& runner) const override;
  // The modulations of all blocks and of the final layer: of a model that was prepared for the CPU.
  // Only its packed layers give a row the same bits whatever stands beside it.
  [[nodiscard]] at::Tensor conditions(const at::Tensor& t, const at::Tensor& y) const override;
  [[nodiscard]] std::int64_t conditions_width() const override;
  at::Tensor forward_conditioned(const at::Tensor& x, const at::Tensor& conditions,
                                 BranchRunner& runner) const override;
  [[nodiscard]] const DenoiserInfo& info() const override { return info_; }
  [[nodiscard]] const ForwardCost& cost() const override { return cost_; }
  [[nodiscard]] at::Device device() const override { return weights_.pos_embed.device(); }
  [[nodiscard]] at::ScalarType branch_dtype() const override { return weights_.dtype(); }
  [[nodiscard]] const DiTConfig& config() const { return config_; }

  // The parts of forward(), for tests and probes.
  [[nodiscard]] at::Tensor embed_patches(
      const at::Tensor& x) const;  // [N, T, D], without positions
  [[nodiscard]] at::Tensor embed_timesteps(const at::Tensor& t) const;  // [N, D]
  [[nodiscard]] at::Tensor embed_labels(const at::Tensor& y) const;     // [N, D]
  [[nodiscard]] at::Tensor modulations(const at::Tensor& c) const;      // [N, depth * 6 D + 2 D]
  [[nodiscard]] const at::Tensor& pos_embed() const { return weights_.pos_embed; }

 private:
  class Blocks;  // the Trunk of one forward pass
  DiT(const DiTConfig& config, DiTWeights weights, DenoiserInfo info);
  void check_input(const at::Tensor& x) const;
  void check_conditions(const at::Tensor& t, const at::Tensor& y, std::int64_t rows) const;
  // The modulations as modulations() gives them.
  at::Tensor run(const at::Tensor& x, const at::Tensor& modulations, BranchRunner& runner) const;
  [[nodiscard]] at::Tensor embed_tokens(const at::Tensor& x) const;  // [N, T, D], with positions
  // [N, depth * 6 D + 2 D], computed once for rows with timestep and label in common.
  [[nodiscard]] at::Tensor modulations(const at::Tensor& t, const at::Tensor& y) const;
  // [N, T, p * p * out_channels] in the order (p, q, channel) -> [N, out_channels, S, S].
  [[nodiscard]] at::Tensor unpatchify(const at::Tensor& tokens) const;

  DiTConfig config_;
  DiTWeights weights_;
  DenoiserInfo info_;
  ForwardCost cost_;
};

// The configuration that a checkpoint is meant to have: `arch` (a preset's name or a JSON file),
// which must agree with the file's own metadata where it has "config"; or, with an empty `arch`,
// that metadata. Throws InputError: the two differ (the fields are named), neither is there (the
// presets are listed), bad JSON.
DiTConfig resolve_dit_config(const std::string& arch, const io::Checkpoint& checkpoint);

}  // namespace l2c
