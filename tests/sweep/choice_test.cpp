#include "l2c/sweep/choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "l2c/core/error.h"
#include "sweep_support.h"

namespace l2c {
namespace {

using test::measured;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::ThrowsMessage;

using Numbers = std::vector<std::size_t>;

SweepBudget percent(double value) { return {.kind = SweepBudget::Kind::quality, .value = value}; }
SweepBudget speedup(double value) { return {.kind = SweepBudget::Kind::speedup, .value = value}; }

Numbers front(const std::vector<CostAndLoss>& points) { return pareto_front(points); }

TEST(ParetoFront, LeavesOutWhatAnotherPointBeats) {
  EXPECT_THAT(front({{5, 1}, {3, 2}, {4, 3}, {1, 9}, {2, 9}, {6, 1}}), ElementsAre(3, 1, 0));
}

TEST(ParetoFront, OnePointAndNone) {
  EXPECT_THAT(front({{1, 1}}), ElementsAre(0));
  EXPECT_THAT(front({}), IsEmpty());
}

TEST(ParetoFront, EqualPointsAreBothOnIt) {
  EXPECT_THAT(front({{2, 2}, {2, 2}, {3, 2}, {3, 1}}), ElementsAre(0, 1, 3));
}

TEST(ParetoFront, OfEqualCostTheBetterOfEqualLossTheCheaper) {
  EXPECT_THAT(front({{1, 5}, {1, 4}}), ElementsAre(1));
  EXPECT_THAT(front({{2, 4}, {1, 4}}), ElementsAre(1));
}

TEST(ParetoFront, RefusesWhatIsNotFinite) {
  for (const double odd : {std::nan(""), HUGE_VAL}) {
    EXPECT_THAT([&] { (void)front({{1, 1}, {odd, 1}}); },
                ThrowsMessage<InputError>(HasSubstr("point 1 has cost")));
    EXPECT_THAT([&] { (void)front({{1, odd}}); },
                ThrowsMessage<InputError>(HasSubstr("point 0 has cost 1 and loss")));
  }
}

class RecommendTest : public testing::Test {
 protected:
  std::vector<SweepPoint> points_{measured("full", 1, 0),     measured("slow", 1.1, -3),
                                  measured("fine", 0.8, 1.2), measured("same", 0.8, 1.9),
                                  measured("fast", 0.5, 4),   measured("fastest", 0.4, 30),
                                  measured("better", 0.9, -1)};

  std::string chosen(const SweepBudget& budget) {
    const auto found = recommend(points_, budget);
    return found.point ? points_[*found.point].name : "none: " + found.reason;
  }
};

TEST_F(RecommendTest, TheFastestWithinABudgetOfQuality) {
  EXPECT_EQ(chosen(percent(0)), "better");
  EXPECT_EQ(chosen(percent(1)), "better");
  EXPECT_EQ(chosen(percent(1.2)), "fine") << "of two that are equally fast, the better one";
  EXPECT_EQ(chosen(percent(3.9)), "fine");
  EXPECT_EQ(chosen(percent(4)), "fast");
  EXPECT_EQ(chosen(percent(100)), "fastest");
}

TEST_F(RecommendTest, TheBestWithAWantedSpeedup) {
  EXPECT_EQ(chosen(speedup(1)), "better");
  EXPECT_EQ(chosen(speedup(1.2)), "fine");
  EXPECT_EQ(chosen(speedup(2)), "fast");
  EXPECT_EQ(chosen(speedup(2.1)), "fastest");
}

TEST_F(RecommendTest, SaysWhatComesClosestWhereNothingMeetsTheBudget) {
  points_.pop_back();
  EXPECT_EQ(chosen(percent(1)), "none: the best of the faster ones, fine, is +1.2 %");
  EXPECT_EQ(chosen(speedup(3)), "none: the fastest, fastest, reaches 2.50x");
  points_ = {measured("full", 1, 0), measured("slow", 1, -5)};
  EXPECT_EQ(chosen(percent(1)), "none: nothing was faster than computing everything");
  points_.pop_back();
  EXPECT_EQ(chosen(percent(1)), "none: nothing was faster than computing everything");
  EXPECT_EQ(chosen(speedup(2)), "none: there is nothing but computing everything");
}

TEST_F(RecommendTest, ComparesSpeedupsNotTimes) {
  points_[2].choosing.seconds_per_image = 0.1;
  EXPECT_EQ(chosen(percent(4)), "fast");
  points_[2].choosing.speedup = 2.2;
  EXPECT_EQ(chosen(percent(4)), "fine");
  EXPECT_EQ(chosen(speedup(2.1)), "fine");
}

TEST(Missed, IsOutsideTheBudget) {
  const auto numbers = test::numbers(0.5, 3);
  EXPECT_TRUE(missed(percent(2.9), numbers));
  EXPECT_FALSE(missed(percent(3), numbers));
  EXPECT_TRUE(missed(speedup(2.1), numbers));
  EXPECT_FALSE(missed(speedup(2), numbers));
}

TEST_F(RecommendTest, ChoosesByTheChoosingSeedsAlone) {
  points_[4].reporting = test::numbers(0.1, -50);
  EXPECT_EQ(chosen(percent(1.2)), "fine");
}

TEST_F(RecommendTest, RefusesOddBudgetsAndNumbers) {
  for (const double value : {-0.1, std::nan(""), HUGE_VAL}) {
    EXPECT_THAT([&] { (void)chosen(percent(value)); },
                ThrowsMessage<InputError>(HasSubstr("give a number of at least 0")));
  }
  for (const double value : {0.9, std::nan("")}) {
    EXPECT_THAT([&] { (void)chosen(speedup(value)); },
                ThrowsMessage<InputError>(HasSubstr("give a number of at least 1")));
  }
  points_[2].choosing.frechet.mean = std::nan("");
  EXPECT_THAT([&] { (void)chosen(percent(1)); },
              ThrowsMessage<InputError>(AllOf(HasSubstr("fine"), HasSubstr("not finite"))));
  points_[2] = measured("fine", 0.8, 1.2);
  for (const double odd : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    points_[3].choosing.speedup = odd;
    EXPECT_THAT([&] { (void)chosen(percent(1)); },
                ThrowsMessage<InputError>(AllOf(HasSubstr("same"), HasSubstr("speed-up"))));
  }
  points_.clear();
  EXPECT_THAT([&] { (void)chosen(percent(1)); }, ThrowsMessage<InputError>(HasSubstr("no points")));
}

TEST(InWords, SaysWhatWasMeasuredOnTheReportingSeeds) {
  const auto record = test::small_record();
  const auto words = in_words(record, record.recommendations[0]);
  // Reported: 0.81 s of 1.02 s, +1.6 %; chosen by 0.80 s of 1 s, +1.2 %.
  EXPECT_THAT(words, HasSubstr("fine: 1.26x as fast"));
  EXPECT_THAT(words, HasSubstr("810 ms instead of 1.02 s an image"));
  EXPECT_THAT(words, HasSubstr("ideal 1.38x"));
  EXPECT_THAT(words, HasSubstr("+1.6 % ± 0.3"));
  EXPECT_THAT(words, HasSubstr("9.10 MB stored"));
  EXPECT_THAT(words, Not(HasSubstr("missed")));
}

TEST(InWords, SaysWhereFreshSeedsMissTheBudget) {
  auto record = test::small_record();
  record.points[1].reporting->above_full.mean = 2.5;
  EXPECT_THAT(in_words(record, record.recommendations[0]),
              AllOf(HasSubstr("missed by 0.5 points"), HasSubstr("where it was chosen: +1.2 %")));
  EXPECT_THAT(in_words(record, record.recommendations[2]), Not(HasSubstr("missed")));
  record.points[2].reporting->speedup = 1.8;
  EXPECT_THAT(in_words(record, record.recommendations[2]), HasSubstr("missed by 0.10x"));
}

TEST(InWords, DoubtsWhatIsFasterThanItsWork) {
  auto record = test::small_record();
  EXPECT_THAT(in_words(record, record.recommendations[0]), Not(HasSubstr("above the ideal")));
  record.points[1].reporting->speedup = 1.5;
  EXPECT_THAT(in_words(record, record.recommendations[0]), HasSubstr("above the ideal"));
}

TEST(InWords, SaysThatNothingMeetsABudget) {
  const auto record = test::small_record();
  EXPECT_THAT(in_words(record, record.recommendations[1]),
              AllOf(HasSubstr("Nothing meets \"at most +0.5 % Fréchet distance\""),
                    HasSubstr("fine, is +1.2 %"), HasSubstr("Keep computing everything")));
  EXPECT_EQ(in_words(speedup(1.5)), "at least 1.5x as fast");
  EXPECT_EQ(in_words(percent(1234567.5)), "at most +1234567.5 % Fréchet distance");
}

}  // namespace
}  // namespace l2c
