#include "l2c/io/tensor_difference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "l2c/core/error.h"

namespace l2c::io {
namespace {

using State = TensorComparison::State;

TEST(TensorDifference, LargestRelativeAndHowMany) {
  const auto found = difference(at::tensor({1.0, 2.0, -4.0}), at::tensor({1.0, 2.5, -4.25}));
  EXPECT_DOUBLE_EQ(found.largest, 0.5);
  EXPECT_DOUBLE_EQ(found.relative, 0.5 / 4.25);
  EXPECT_EQ(found.differing, 2);
  EXPECT_EQ(found.not_finite, 0);
}

TEST(TensorDifference, NumbersThatAreNotFiniteAreCountedApart) {
  const auto a = at::tensor({NAN, 1.0F, INFINITY, INFINITY, 3.0F});
  const auto b = at::tensor({NAN, NAN, INFINITY, -INFINITY, 1.0F});
  const auto found = difference(a, b);
  EXPECT_EQ(found.differing, 3);
  EXPECT_EQ(found.not_finite, 2);
  EXPECT_DOUBLE_EQ(found.largest, 2);
  EXPECT_DOUBLE_EQ(found.relative, 2.0 / 3.0);
}

TEST(TensorDifference, OfAnyTypeAndStrides) {
  const auto a = at::arange(12, at::kLong).view({3, 4});
  EXPECT_EQ(difference(a.t(), a.to(at::kFloat).t()).differing, 0);
  EXPECT_DOUBLE_EQ(difference(a.t(), (a + 2).t().contiguous()).largest, 2);
  const auto eight = at::tensor({0.5F, 2.0F}).to(at::kFloat8_e4m3fn);
  EXPECT_DOUBLE_EQ(difference(eight, at::tensor({0.5F, 1.0F}).to(at::kFloat8_e4m3fn)).largest, 1);
  const auto complex = at::complex(at::tensor({1.0F}), at::tensor({2.0F}));
  EXPECT_EQ(difference(complex, at::complex(at::tensor({1.0F}), at::tensor({5.0F}))).differing, 1);
  EXPECT_EQ(difference(at::empty({0, 3}), at::empty({0, 3})).differing, 0);
  EXPECT_EQ(difference(at::ones({1}, at::kBool), at::zeros({1}, at::kBool)).differing, 1);
  EXPECT_THROW(difference(at::zeros({2}), at::zeros({3})), Error);
  EXPECT_THROW(difference(complex, at::zeros({1})), Error);
}

TEST(TensorDifference, FindsOneNumberInManyPieces) {
  const auto a = at::zeros({1'000'003});
  const auto b = a.clone();
  b[1'000'001] = -0.25;
  const auto found = difference(a, b);
  EXPECT_EQ(found.differing, 1);
  EXPECT_DOUBLE_EQ(found.largest, 0.25);
  EXPECT_DOUBLE_EQ(found.relative, 1);
}

TEST(CompareTensors, WhatDiffersMostComesFirst) {
  const TensorMap a{{"equal", at::ones({2})},      {"first", at::ones({1})},
                    {"little", at::ones({2})},     {"much", at::ones({2})},
                    {"shape", at::ones({2})},      {"type", at::ones({2})},
                    {"zero", at::full({1}, -0.0F)}};
  const TensorMap b{{"equal", at::ones({2})},        {"second", at::ones({1})},
                    {"little", at::ones({2}) + 0.1}, {"much", at::ones({2}) + 1},
                    {"shape", at::ones({3})},        {"type", at::ones({2}, at::kBFloat16)},
                    {"zero", at::full({1}, 0.0F)}};
  std::vector<std::string> names;
  std::vector<State> states;
  for (const auto& each : compare_tensors(a, b)) {
    names.push_back(each.name);
    states.push_back(each.state);
  }
  EXPECT_THAT(names, testing::ElementsAre("first", "second", "shape", "type", "much", "little",
                                          "zero", "equal"));
  EXPECT_THAT(states,
              testing::ElementsAre(State::first, State::second, State::shape, State::type,
                                   State::values, State::values, State::values, State::same));
}

TEST(CompareTensors, DifferencesAcrossTypes) {
  const auto a = at::tensor({1.0F, 1.001F});
  const auto found = compare_tensors({{"w", a}}, {{"w", a.to(at::kBFloat16)}});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].state, State::type);
  EXPECT_NEAR(found[0].difference.value().largest, 0.001, 1e-4);
  const auto none = compare_tensors({{"w", at::complex(a, a)}}, {{"w", a}});
  EXPECT_EQ(none[0].state, State::type);
  EXPECT_FALSE(none[0].difference.has_value());
}

TEST(CompareTensors, NaNOfTheSameBitsIsTheSame) {
  const auto nan = at::tensor({NAN});
  EXPECT_EQ(compare_tensors({{"w", nan}}, {{"w", nan.clone()}})[0].state, State::same);
  const auto found = compare_tensors({{"w", nan}}, {{"w", at::zeros({1})}, {"a", nan}});
  EXPECT_EQ(found[1].difference.value().not_finite, 1);
  EXPECT_TRUE(compare_tensors({}, {}).empty());
}

}  // namespace
}  // namespace l2c::io
