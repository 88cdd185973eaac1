#include "l2c/training/curve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "l2c/core/error.h"
#include "l2c/io/file.h"
#include "support/golden.h"

namespace l2c {
namespace {

TEST(Curve, WritesAHeaderAndARowALine) {
  Curve curve({"step", "loss"});
  curve.add({100, 0.5});
  curve.add({200, 0.125});
  const auto path = test::scratch() / "curve.csv";
  curve.write_csv(path);
  EXPECT_EQ(io::read_text(path), "step,loss\n100,0.5\n200,0.125\n");
}

TEST(Curve, ComesBackFromItsTensor) {
  Curve curve({"step", "loss"});
  curve.add({100, 1.0 / 3});
  Curve other({"step", "loss"});
  other.add({1, 2});
  other.from_tensor(curve.to_tensor());
  EXPECT_EQ(other.rows(), curve.rows());
  Curve empty({"step", "loss"});
  other.from_tensor(empty.to_tensor());
  EXPECT_TRUE(other.rows().empty());
}

TEST(Curve, RefusesOtherColumns) {
  Curve curve({"step", "loss"});
  EXPECT_THAT([&] { curve.from_tensor(at::zeros({4, 3}, at::kDouble)); },
              testing::ThrowsMessage<InputError>(testing::HasSubstr("must have 2 columns")));
  EXPECT_THROW(curve.add({1}), Error);
}

}  // namespace
}  // namespace l2c
