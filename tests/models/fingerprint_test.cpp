#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "l2c/models/weights.h"
#include "support/golden.h"

namespace l2c {
namespace {

io::TensorMap some_tensors() {
  return {{"a", at::arange(6, at::kFloat).view({2, 3})}, {"b", at::ones({4})}};
}

TEST(Fingerprint, StaysTheSameForever) {
  // Routers on disk name their model by it: a change here makes all of them strangers.
  EXPECT_EQ(fingerprint(some_tensors(), "{}"), "2128941af73eb705f55fe6c4e796dc2d");
}

TEST(Fingerprint, DependsOnEverythingThatCounts) {
  const auto original = fingerprint(some_tensors(), "{}");
  EXPECT_THAT(original, ::testing::MatchesRegex("[0-9a-f]+"));
  EXPECT_EQ(original.size(), 32U);
  EXPECT_NE(fingerprint(some_tensors(), "{ }"), original);
  auto changed = some_tensors();
  changed["a"][1][2] = 6;
  EXPECT_NE(fingerprint(changed, "{}"), original);
  changed = some_tensors();
  changed["a"] = changed["a"].view({3, 2});
  EXPECT_NE(fingerprint(changed, "{}"), original);
  changed = {{"a", some_tensors()["a"]}, {"c", some_tensors()["b"]}};
  EXPECT_NE(fingerprint(changed, "{}"), original);
}

TEST(Fingerprint, DoesNotDependOnLayoutOrWidth) {
  auto other = some_tensors();
  other["a"] = other["a"].t().contiguous().t();
  ASSERT_FALSE(other["a"].is_contiguous());
  other["b"] = other["b"].to(at::kBFloat16);
  EXPECT_EQ(fingerprint(other, "{}"), fingerprint(some_tensors(), "{}"));
}

}  // namespace
}  // namespace l2c
