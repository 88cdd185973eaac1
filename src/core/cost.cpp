#include "l2c/core/cost.h"

namespace l2c {

BranchMacs ForwardCost::total() const {
  BranchMacs sum{rest, rest};
  for (const BranchMacs& unit : units) {
    sum.paper += unit.paper;
    sum.truth += unit.truth;
  }
  return sum;
}

}  // namespace l2c
