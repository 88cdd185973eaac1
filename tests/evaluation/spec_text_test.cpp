#include "spec_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "l2c/core/error.h"

namespace l2c {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(SpecText, TakesATextApart) {
  SpecText spec("policy", "first-block:0.25,warm-up=2,poly=1/-0.5/2e1");
  EXPECT_EQ(spec.kind(), "first-block");
  EXPECT_TRUE(spec.has_value());
  EXPECT_EQ(spec.value(), "0.25");
  EXPECT_EQ(spec.rest(), "0.25,warm-up=2,poly=1/-0.5/2e1");
  EXPECT_EQ(spec.value_between(0, 1), 0.25);
  EXPECT_EQ(spec.whole_option("warm-up", 7, 0, 9), 2);
  EXPECT_EQ(spec.whole_option("most", 7, 0, 9), 7);
  EXPECT_EQ(spec.numbers_option("poly", {}), (std::vector<double>{1, -0.5, 20}));
  EXPECT_EQ(spec.numbers_option("other", {3}), (std::vector<double>{3}));
  spec.finish();
}

TEST(SpecText, AKindAlone) {
  const SpecText spec("policy", "full");
  EXPECT_EQ(spec.kind(), "full");
  EXPECT_FALSE(spec.has_value());
  spec.finish();
}

TEST(SpecText, RefusesOptionsWithoutFormOrGivenTwice) {
  EXPECT_THAT([] { SpecText("recall", "a:1,b"); },
              ThrowsMessage<InputError>("recall \"a:1,b\": the option \"b\" has no \"=\""));
  EXPECT_THAT([] { SpecText("policy", "a:1,b=1,b=2"); },
              ThrowsMessage<InputError>(HasSubstr("the option \"b\" is given twice")));
}

TEST(SpecText, RefusesOptionsThatNobodyAskedFor) {
  SpecText spec("policy", "a:1,b=1");
  EXPECT_THAT([&] { spec.finish(); },
              ThrowsMessage<InputError>(HasSubstr("a has no options, so no \"b\"")));
  (void)spec.whole_option("c", 1, 0, 2);
  (void)spec.whole_option("d", 1, 0, 2);
  EXPECT_THAT([&] { spec.finish(); },
              ThrowsMessage<InputError>(HasSubstr("a has no option \"b\", but c, d")));
}

TEST(SpecText, RefusesNumbersOutsideTheirRange) {
  for (const char* text : {"a:0", "a:10", "a:", "a:4x", "a:-3", "a:2.5"}) {
    const SpecText spec("policy", text);
    EXPECT_THAT([&] { (void)spec.whole_value(1, 9); },
                ThrowsMessage<InputError>(HasSubstr("is no whole number from 1 to 9")));
  }
  for (const char* text : {"a:-0.1", "a:1.1", "a:", "a:1x", "a:nan", "a:inf"}) {
    const SpecText spec("policy", text);
    EXPECT_THAT([&] { (void)spec.value_between(0, 1); },
                ThrowsMessage<InputError>(HasSubstr("is no number from 0 to 1")));
  }
  SpecText spec("policy", "a:-1,n=2,list=1/x");
  EXPECT_THAT([&] { (void)spec.value_between(0, std::numeric_limits<double>::max()); },
              ThrowsMessage<InputError>(HasSubstr("\"-1\" is no number of at least 0")));
  EXPECT_THAT([&] { (void)spec.whole_option("n", 0, 3, 4); },
              ThrowsMessage<InputError>(HasSubstr("\"2\" is no whole number from 3 to 4")));
  EXPECT_THAT([&] { (void)spec.numbers_option("list", {}); },
              ThrowsMessage<InputError>(HasSubstr("\"x\" of the option \"list\" is no number")));
}

}  // namespace
}  // namespace l2c
