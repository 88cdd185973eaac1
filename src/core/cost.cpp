#include "l2c/core/cost.h"

namespace l2c {

double LayerShape::macs() const {
  return static_cast<double>(rows) * static_cast<double>(in) * static_cast<double>(out);
}

BranchMacs ForwardCost::total() const {
  BranchMacs sum{rest, rest};
  for (const BranchMacs& unit : units) {
    sum.paper += unit.paper;
    sum.truth += unit.truth;
  }
  return sum;
}

}  // namespace l2c
