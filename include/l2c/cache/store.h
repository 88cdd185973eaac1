// The tensors that one run keeps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "l2c/core/torch.h"

namespace l2c {

// Where a stored branch output lives.
struct SlotId {
  int pass = 0;
  int unit = 0;
  int place = 0;  // forecasts keep several values of a unit

  friend constexpr auto operator<=>(const SlotId&, const SlotId&) = default;
};

// Belongs to one run of one micro-batch. Not thread-safe.
class CacheStore {
 public:
  // Every slot is a contiguous [rows, tokens, width] tensor with these options. Throws InputError
  // unless all three are > 0.
  CacheStore(std::int64_t rows, std::int64_t tokens, std::int64_t width, at::TensorOptions options);

  // The slot's tensor, made (uninitialised) on first use; the same memory until drop().
  at::Tensor slot(SlotId id);
  // The slot's tensor. Throws l2c::Error when nothing is stored there: a policy's mistake.
  [[nodiscard]] at::Tensor stored(SlotId id) const;
  // Nothing happens when nothing is stored there.
  void drop(SlotId id);

  [[nodiscard]] std::int64_t rows() const { return shape_[0]; }
  [[nodiscard]] std::size_t bytes() const { return slots_.size() * slot_bytes_; }
  [[nodiscard]] std::size_t peak_bytes() const { return peak_bytes_; }

 private:
  std::vector<std::int64_t> shape_;
  at::TensorOptions options_;
  std::size_t slot_bytes_;
  std::size_t peak_bytes_ = 0;
  std::map<SlotId, at::Tensor> slots_;
};

}  // namespace l2c
