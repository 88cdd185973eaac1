#include <gtest/gtest.h>

#include "l2c/core/branch.h"
#include "support/golden.h"

TEST(BranchId, UnitsInterleaveAttentionAndMlp) {
  EXPECT_EQ((l2c::BranchId{3, l2c::BranchKind::mlp}).unit(), 7);
  EXPECT_EQ(l2c::BranchId::from_unit(6), (l2c::BranchId{3, l2c::BranchKind::attention}));
}
