// What a range of blocks added to the tokens, as far back as a recall looks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "l2c/cache/recall.h"
#include "l2c/cache/store.h"
#include "l2c/core/torch.h"
#include "l2c/ops/residual_stream.h"

namespace l2c {

// The residuals (output - input tokens) of one range of blocks, for each batch row those of its own
// latest evaluations: rows may be computed at different ones. Not thread-safe; dies with the run.
class ResidualHistory {
 public:
  // Keeps them in the store's slots (place.pass, place.unit, 0 ... recall.depth() - 1). Both
  // outlive this.
  ResidualHistory(CacheStore& store, SlotId place, const Recall& recall);

  // `rows`, ascending, were computed at `now`. input, output: tokens of the whole batch, [N, T, D].
  void keep(std::span<const std::int64_t> rows, const at::Tensor& input, const at::Tensor& output,
            const Moment& now);
  [[nodiscard]] bool knows(std::int64_t row) const { return !row_at(row).known.empty(); }
  // Adds the estimates at `now` to the stream's tokens of the rows (ascending). Throws Error for a
  // row of which nothing is known.
  void add_to(ops::ResidualStream& stream, std::span<const std::int64_t> rows,
              const Moment& now) const;
  // Forgets everything and gives the slots back.
  void clear();

 private:
  struct Row {
    std::vector<Moment> known;  // latest first
    std::vector<int> slots;     // where each of them lies
  };
  // A weight for each slot; 0: nothing of it.
  using SlotWeights = std::vector<double>;

  [[nodiscard]] const Row& row_at(std::int64_t row) const;
  // The slot for the row's next residual, whose moment it notes.
  int advance(std::int64_t row, const Moment& now);
  [[nodiscard]] SlotWeights weights_of(std::int64_t row, const Moment& now) const;
  [[nodiscard]] SlotId slot_id(int slot) const { return {place_.pass, place_.unit, slot}; }
  void add_to_all(ops::ResidualStream& stream, const SlotWeights& weights) const;
  void add_to_some(ops::ResidualStream& stream, std::span<const std::int64_t> rows,
                   const std::vector<SlotWeights>& weights) const;

  CacheStore& store_;
  SlotId place_;
  const Recall& recall_;
  std::vector<Row> rows_;
};

}  // namespace l2c
