#include "l2c/ops/linear_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "l2c/core/error.h"
#include "support/golden.h"

namespace l2c::ops {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr std::int64_t in = 37;

// The rows of `whole` in parts that begin where `starts` says, in that order.
Linear built(const Linear& whole, std::vector<std::int64_t> starts,
             std::optional<at::ScalarType> products) {
  const std::int64_t out = whole.weight.size(0);
  LinearBuilder builder(out, in, at::kCPU, products);
  auto sorted = starts;
  std::sort(sorted.begin(), sorted.end());
  sorted.push_back(out);
  for (const auto first : starts) {
    const auto end = *std::upper_bound(sorted.begin(), sorted.end(), first);
    // A copy that is overwritten afterwards: nothing of it may be needed later.
    auto rows = whole.weight.narrow(0, first, end - first).clone();
    auto values = whole.bias.narrow(0, first, end - first).clone();
    builder.weight(first, rows);
    builder.bias(first, values);
    rows.fill_(1e30);
    values.fill_(1e30);
  }
  return builder.take();
}

class BuiltLinear : public ::testing::TestWithParam<std::vector<std::int64_t>> {};

TEST_P(BuiltLinear, IsThatOfAllRowsAtOnce) {
  const c10::InferenceMode inference;
  at::manual_seed(3);
  for (const std::int64_t out : {500, 512, 515}) {
    const Linear whole{.weight = at::randn({out, in}), .bias = at::randn({out})};
    const auto x = at::randn({5, in});
    test::expect_equal(linear(built(whole, GetParam(), {}), x), linear(whole, x), "plain");
    for (const auto products : {at::kFloat, at::kBFloat16}) {
      const auto layer = built(whole, GetParam(), products);
      EXPECT_EQ(dtype(layer), products);
      ASSERT_TRUE(layer.packed.has_value());
      test::expect_equal(linear(layer, x), linear(prepared(whole, products), x), "prepared");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Parts, BuiltLinear,
    ::testing::Values(std::vector<std::int64_t>{0}, std::vector<std::int64_t>{0, 128, 256},
                      std::vector<std::int64_t>{256, 0, 128},
                      // Parts that end within blocks; blocks of three parts; one row.
                      std::vector<std::int64_t>{0, 100, 200, 300, 400},
                      std::vector<std::int64_t>{300, 5, 499, 0, 4, 401, 30, 20}));

TEST(LinearBuilder, Refusals) {
  const auto rows = at::ones({4, in});
  LinearBuilder builder(10, in, at::kCPU, at::kFloat);
  EXPECT_THAT([&] { builder.weight(7, rows); },
              ThrowsMessage<Error>(AllOf(HasSubstr("rows 7 to 11"), HasSubstr("[10, 37]"))));
  EXPECT_THAT([&] { builder.weight(-1, rows); }, ThrowsMessage<Error>(HasSubstr("rows -1")));
  EXPECT_THAT([&] { builder.weight(0, rows.narrow(1, 0, 3)); },
              ThrowsMessage<Error>(HasSubstr("do not belong")));
  EXPECT_THAT([&] { builder.weight(0, rows.to(at::kHalf)); },
              ThrowsMessage<Error>(HasSubstr("Half")));
  EXPECT_THAT([&] { builder.weight(0, at::ones({4})); },
              ThrowsMessage<Error>(AllOf(HasSubstr("[4]"), HasSubstr("the weight of a layer"))));
  EXPECT_THAT([&] { builder.bias(0, rows); }, ThrowsMessage<Error>(HasSubstr("the bias of")));
  EXPECT_THAT([&] { builder.bias(0, at::ones({})); }, ThrowsMessage<Error>(HasSubstr("the bias")));
  builder.weight(0, rows);
  builder.bias(0, at::ones({10}));
  EXPECT_THAT([&] { (void)builder.take(); },
              ThrowsMessage<Error>(HasSubstr("10 rows was given 4 of its weight and 10")));
  EXPECT_THAT([] { LinearBuilder(2, 2, at::kCPU, at::kHalf); },
              ThrowsMessage<Error>(HasSubstr("fp32 or bf16")));
}

}  // namespace
}  // namespace l2c::ops
