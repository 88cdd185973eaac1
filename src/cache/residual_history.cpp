#include "residual_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "image_rows.h"
#include "l2c/core/error.h"

namespace l2c {

namespace {

// What several blocks add is no unit's value.
constexpr int no_unit = -1;

at::Tensor index_of(const std::vector<std::int64_t>& rows, at::Device device) {
  return at::tensor(rows, at::kLong).to(device);
}

}  // namespace

ResidualHistory::ResidualHistory(CacheStore& store, SlotId place, const Recall& recall)
    : store_(store), place_(place), recall_(recall), rows_(static_cast<std::size_t>(store.rows())) {
  if (recall.depth() < 1) {
    throw Error(fmt::format("recall '{}' looks back on {} values, but must on 1 at least",
                            recall.name(), recall.depth()));
  }
}

void ResidualHistory::keep(std::span<const std::int64_t> rows, const at::Tensor& input,
                           const at::Tensor& output, const Moment& now) {
  std::vector<std::vector<std::int64_t>> rows_of_slot(static_cast<std::size_t>(recall_.depth()));
  for (const std::int64_t row : rows) {
    rows_of_slot[static_cast<std::size_t>(advance(row, now))].push_back(row);
  }
  for (std::size_t slot = 0; slot < rows_of_slot.size(); ++slot) {
    const auto& some = rows_of_slot[slot];
    if (some.empty()) continue;
    at::Tensor kept = store_.slot(slot_id(static_cast<int>(slot)));
    if (some.size() == rows_.size()) {
      at::sub_out(kept, output, input);
      continue;
    }
    copy_rows(kept, output - input, some);
  }
}

void ResidualHistory::add_to(ops::ResidualStream& stream, std::span<const std::int64_t> rows,
                             const Moment& now) const {
  if (rows.empty()) return;
  std::vector<SlotWeights> weights;
  weights.reserve(rows.size());
  for (const std::int64_t row : rows) weights.push_back(weights_of(row, now));
  const bool alike =
      std::all_of(weights.begin(), weights.end(), [&](const auto& w) { return w == weights[0]; });
  if (alike && rows.size() == rows_.size()) {
    add_to_all(stream, weights[0]);
  } else {
    add_to_some(stream, rows, weights);
  }
}

void ResidualHistory::clear() {
  std::fill(rows_.begin(), rows_.end(), Row());
  for (int slot = 0; slot < recall_.depth(); ++slot) store_.drop(slot_id(slot));
}

const ResidualHistory::Row& ResidualHistory::row_at(std::int64_t row) const {
  if (row < 0 || row >= static_cast<std::int64_t>(rows_.size())) {
    throw Error(fmt::format("batch row {} is outside the cache store, which has rows 0 to {}", row,
                            rows_.size() - 1));
  }
  return rows_[static_cast<std::size_t>(row)];
}

int ResidualHistory::advance(std::int64_t row, const Moment& now) {
  (void)row_at(row);
  Row& of_row = rows_[static_cast<std::size_t>(row)];
  const int known = static_cast<int>(of_row.known.size());
  int slot = known;
  if (known == recall_.depth()) {
    slot = of_row.slots.back();
    of_row.known.pop_back();
    of_row.slots.pop_back();
  }
  of_row.known.insert(of_row.known.begin(), now);
  of_row.slots.insert(of_row.slots.begin(), slot);
  return slot;
}

ResidualHistory::SlotWeights ResidualHistory::weights_of(std::int64_t row,
                                                         const Moment& now) const {
  const Row& of_row = row_at(row);
  if (of_row.known.empty()) {
    throw Error(fmt::format("nothing is stored for batch row {}: it was never computed", row));
  }
  const auto weights = checked_weights(recall_, no_unit, of_row.known, now);
  SlotWeights by_slot(static_cast<std::size_t>(recall_.depth()), 0);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    by_slot[static_cast<std::size_t>(of_row.slots[i])] = weights[i];
  }
  return by_slot;
}

// Lazily, in one pass with what comes next.
void ResidualHistory::add_to_all(ops::ResidualStream& stream, const SlotWeights& weights) const {
  BranchValue value;
  for (std::size_t slot = 0; slot < weights.size(); ++slot) {
    if (weights[slot] == 0) continue;
    value.push_back(
        {store_.stored(slot_id(static_cast<int>(slot))), static_cast<float>(weights[slot])});
  }
  if (!value.empty()) stream.add(std::move(value), {});
}

void ResidualHistory::add_to_some(ops::ResidualStream& stream, std::span<const std::int64_t> rows,
                                  const std::vector<SlotWeights>& weights) const {
  at::Tensor tokens = stream.tokens().clone();
  for (std::size_t slot = 0; slot < static_cast<std::size_t>(recall_.depth()); ++slot) {
    std::vector<std::int64_t> some;
    std::vector<float> weights_of_some;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (weights[i][slot] == 0) continue;
      some.push_back(rows[i]);
      weights_of_some.push_back(static_cast<float>(weights[i][slot]));
    }
    if (some.empty()) continue;
    const at::Tensor index = index_of(some, tokens.device());
    const at::Tensor weight =
        at::tensor(weights_of_some, at::kFloat).to(tokens.device()).view({-1, 1, 1});
    const at::Tensor values = store_.stored(slot_id(static_cast<int>(slot))).index_select(0, index);
    tokens.index_add_(0, index, values.to(tokens.scalar_type()).mul_(weight));
  }
  stream.replace(std::move(tokens));
}

}  // namespace l2c
