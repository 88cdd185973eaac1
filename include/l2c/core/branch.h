// Names for the residual branches of a transformer block and for the model calls of a run. Plain
// data, no LibTorch header behind it.
#pragma once

#include <cstdint>

namespace l2c {

enum class BranchKind : std::uint8_t { attention, mlp };

// One residual branch of one transformer block: what a cache may reuse.
struct BranchId {
  int block = 0;
  BranchKind kind = BranchKind::attention;

  // Column of routers and plans: 2 * block for attention, 2 * block + 1 for the MLP.
  [[nodiscard]] constexpr int unit() const noexcept { return 2 * block + static_cast<int>(kind); }

  static constexpr BranchId from_unit(int unit) noexcept {
    return {unit / 2, static_cast<BranchKind>(unit % 2)};
  }
  friend constexpr bool operator==(BranchId, BranchId) noexcept = default;
};

// One call of the model within a run.
struct Evaluation {
  int index = 0;    // 0-based position in the run
  int count = 1;    // evaluations in the run
  double time = 0;  // the model's timestep, in [0, 1000)
  int row = -1;     // spaced timestep index (0 = cleanest) = row of a DiT router; -1: none
  int pass = 0;     // guidance pass; DiT runs both halves of guidance as one batch in pass 0
  // Nothing kept before may be used from here on, because the batch has other rows: guidance begins
  // or ends. Everything is computed.
  bool starts_anew = false;
};

}  // namespace l2c
