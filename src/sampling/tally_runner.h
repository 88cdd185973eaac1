// Counts what a run really computes.
#pragma once

#include <vector>

#include "l2c/models/branch_runner.h"

namespace l2c {

// Passes everything on to another runner and counts, by unit, the branches that were computed.
class TallyRunner final : public BranchRunner {
 public:
  TallyRunner(BranchRunner& inner, std::vector<int>& computed_by_unit)
      : inner_(inner), computed_by_unit_(computed_by_unit) {}

  BranchValue branch(BranchId id, BranchFunction compute) override;
  void trunk(Trunk& trunk) override { inner_.trunk(trunk); }
  [[nodiscard]] int computed() const { return computed_; }

 private:
  BranchRunner& inner_;
  std::vector<int>& computed_by_unit_;
  int computed_ = 0;
};

}  // namespace l2c
