// The interface that samplers, caches and trainers see of a model.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "l2c/core/cost.h"
#include "l2c/core/torch.h"
#include "l2c/models/branch_runner.h"

namespace l2c {

struct DenoiserInfo {
  std::string architecture;  // "DiT-XL/2", "DiT (custom)", ...
  std::string
      fingerprint;  // of configuration and weights, 32 hex digits; equal weights, equal text
  int in_channels = 0;
  int out_channels = 0;  // 2 * in_channels when the variance is learned
  int input_size = 0;    // height and width of the latents (or pixels)
  int blocks = 0;        // units = 2 * blocks
  int tokens = 0;
  int width = 0;
  int num_classes = 0;            // labels are 0 ... num_classes - 1
  std::optional<int> null_label;  // for classifier-free guidance; none: the model cannot be guided
};

// Immutable after loading: any number of threads may call forward() at the same time, each with
// its own runner.
class Denoiser {
 public:
  virtual ~Denoiser() = default;

  // x [N, in_channels, S, S] in the model's dtype; t [N] timesteps in [0, 1000), any dtype;
  // y [N] int64 labels, the null label included. All on the model's device. Returns
  // [N, out_channels, S, S].
  virtual at::Tensor forward(const at::Tensor& x, const at::Tensor& t, const at::Tensor& y,
                             BranchRunner& runner) const = 0;

  // What forward() makes of timesteps and labels alone, apart from it: a run knows them all before
  // it starts, and one product for several calls reads the weights once. [N, conditions_width()]
  // fp32 for t [N] and y [N]; a row has the same bits whatever rows stand beside it. Throws
  // InputError like forward().
  [[nodiscard]] virtual at::Tensor conditions(const at::Tensor& t, const at::Tensor& y) const;
  // 0: this model makes them within forward() alone; the two functions around this throw Error.
  [[nodiscard]] virtual std::int64_t conditions_width() const { return 0; }
  // forward() for rows that have these conditions [N, conditions_width()]: the same bits. Throws
  // InputError when they are not what conditions() makes, or x not what forward() takes.
  virtual at::Tensor forward_conditioned(const at::Tensor& x, const at::Tensor& conditions,
                                         BranchRunner& runner) const;

  [[nodiscard]] virtual const DenoiserInfo& info() const = 0;
  [[nodiscard]] virtual const ForwardCost& cost() const = 0;
  [[nodiscard]] virtual at::Device device() const = 0;
  // Of what a BranchFunction gives, and so of what a cache keeps.
  [[nodiscard]] virtual at::ScalarType branch_dtype() const { return at::kFloat; }
};

}  // namespace l2c
