#include "tally_runner.h"

namespace l2c {

BranchValue TallyRunner::branch(BranchId id, BranchFunction compute) {
  return inner_.branch(id, [&](at::Tensor out) {
    ++computed_;
    ++computed_by_unit_[static_cast<std::size_t>(id.unit())];
    return compute(std::move(out));
  });
}

}  // namespace l2c
