#include "l2c/core/words.h"

#include <gtest/gtest.h>

namespace l2c {
namespace {

TEST(WithPrefix, ThreeDigits) {
  EXPECT_EQ(with_prefix(0, "B"), "0 B");
  EXPECT_EQ(with_prefix(999.4, "B"), "999 B");
  EXPECT_EQ(with_prefix(999.6, "B"), "1.00 kB");
  EXPECT_EQ(with_prefix(9.1e6, "B"), "9.10 MB");
  EXPECT_EQ(with_prefix(66.06e6, "B"), "66.1 MB");
  EXPECT_EQ(with_prefix(999.7e6, "FLOP"), "1.00 GFLOP");
  EXPECT_EQ(with_prefix(3.5e18, "FLOP"), "3500 PFLOP");
}

TEST(BytesText, NamesBytes) { EXPECT_EQ(bytes_text(802816), "803 kB"); }

}  // namespace
}  // namespace l2c
