// The random draws of a training: counter-based, without state, so that a resumed training goes on
// with the same bits.
#pragma once

#include <cstdint>
#include <vector>

#include "l2c/core/torch.h"

namespace l2c {

// What a draw is for; each has a stream of its own. The numbers are part of a training's format.
enum class DrawFor : std::uint32_t {
  weights = 0,
  data_order = 1,
  timestep = 2,
  label_dropout = 3,
  noise = 4,
  flip = 5,
  router_logits = 6,
  own_samples = 7,
  crop = 8,
};

// Immutable and cheap to copy. Every draw depends on (seed, purpose, number, position) alone. Uses
// philox4x32 (diffusion/noise.h).
class TrainingRandom {
 public:
  explicit TrainingRandom(std::uint64_t seed) : seed_(seed) {}

  // Standard normal fp32 on the CPU; `number` >= 0 is the training step (or a tensor's index).
  [[nodiscard]] at::Tensor normal(DrawFor purpose, std::int64_t number,
                                  at::IntArrayRef shape) const;
  // In [0, 1), multiples of 2^-53.
  [[nodiscard]] std::vector<double> uniform(DrawFor purpose, std::int64_t number,
                                            std::int64_t count) const;
  // In [0, below), below >= 1.
  [[nodiscard]] std::vector<std::int64_t> integers(DrawFor purpose, std::int64_t number,
                                                   std::int64_t count, std::int64_t below) const;
  // 0 ... count - 1 in a random order.
  [[nodiscard]] std::vector<std::int64_t> permutation(DrawFor purpose, std::int64_t number,
                                                      std::int64_t count) const;

 private:
  [[nodiscard]] std::uint64_t key(DrawFor purpose) const;
  std::uint64_t seed_;
};

// Which examples step `step` (0-based) trains on: epochs of a fresh random order each, incomplete
// batches at an epoch's end left out (as DiT's DataLoader with drop_last). A data set smaller than
// the batch is gone through as often as the batch needs.
class DataOrder {
 public:
  DataOrder(TrainingRandom random, std::int64_t size, std::int64_t batch_size);
  [[nodiscard]] std::vector<std::int64_t> batch(std::int64_t step);

 private:
  TrainingRandom random_;
  std::int64_t size_;
  std::int64_t batch_size_;
  std::int64_t epoch_ = -1;
  std::vector<std::int64_t> order_;
};

}  // namespace l2c
