// How the denoising loop calls the model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "conditions_ahead.h"
#include "l2c/cache/policy.h"
#include "l2c/cache/store.h"
#include "l2c/core/torch.h"
#include "l2c/models/denoiser.h"

namespace l2c {

struct ModelCall {
  at::Tensor output;    // [rows, out_channels, S, S]; both halves where the run is guided
  double computed = 0;  // branches, in the mean over the rows
};

// The model calls of one micro-batch, in the order of its evaluations. Under inference mode.
class ForwardExecutor {
 public:
  virtual ~ForwardExecutor() = default;
  // x [N, C, S, S]; the model sees it twice when there are 2 N rows. Adds to by_unit (one entry a
  // unit) what was computed, in the mean over the rows.
  virtual ModelCall forward(const Evaluation& evaluation, const at::Tensor& x,
                            std::vector<double>& by_unit) = 0;
  // The most that was stored at a time so far.
  [[nodiscard]] virtual std::size_t cache_bytes() const = 0;
};

// Calls the model with the runner of a cache run.
class DirectExecutor final : public ForwardExecutor {
 public:
  // All of them outlive this. labels [rows]. `evaluations` are the run's, `conditions_bytes` as
  // ConditionsAhead has it.
  DirectExecutor(const Denoiser& model, at::Tensor labels,
                 const std::vector<Evaluation>& evaluations, std::int64_t conditions_bytes,
                 CacheRun& run, const CacheStore& store)
      : model_(model),
        labels_(std::move(labels)),
        conditions_(model, labels_, evaluations, conditions_bytes),
        run_(run),
        store_(store) {}
  DirectExecutor(const DirectExecutor&) = delete;
  DirectExecutor& operator=(const DirectExecutor&) = delete;
  ModelCall forward(const Evaluation& evaluation, const at::Tensor& x,
                    std::vector<double>& by_unit) override;
  [[nodiscard]] std::size_t cache_bytes() const override { return store_.peak_bytes(); }

 private:
  const Denoiser& model_;
  at::Tensor labels_;
  ConditionsAhead conditions_;  // refers to labels_
  CacheRun& run_;
  const CacheStore& store_;
};

}  // namespace l2c
