#include "l2c/diffusion/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "l2c/core/error.h"
#include "l2c/core/torch.h"
#include "l2c/io/safetensors.h"
#include "support/golden.h"

namespace l2c {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

at::Tensor as_tensor(const std::vector<double>& values) { return at::tensor(values, at::kDouble); }

class ScheduleGolden : public ::testing::TestWithParam<std::string> {};

TEST_P(ScheduleGolden, EveryTable) {
  const auto golden =
      io::SafetensorsFile::open(test::data("schedules/" + GetParam() + ".safetensors"));
  const Schedule s = make_schedule(GetParam());
  EXPECT_EQ(s.spacing, GetParam());
  const auto map = golden.tensor("timestep_map");
  test::expect_equal(
      at::tensor(std::vector<std::int64_t>(s.timestep_map.begin(), s.timestep_map.end())), map,
      "timestep_map");
  const auto compare = [&](const std::string& name, const std::vector<double>& table) {
    SCOPED_TRACE(name);
    test::expect_close(as_tensor(table), golden.tensor(name), 1e-12, "schedules/" + GetParam());
  };
  compare("betas", s.betas);
  compare("alphas_cumprod", s.alphas_cumprod);
  compare("alphas_cumprod_prev", s.alphas_cumprod_prev);
  compare("alphas_cumprod_next", s.alphas_cumprod_next);
  compare("sqrt_alphas_cumprod", s.sqrt_alphas_cumprod);
  compare("sqrt_one_minus_alphas_cumprod", s.sqrt_one_minus_alphas_cumprod);
  compare("sqrt_recip_alphas_cumprod", s.sqrt_recip_alphas_cumprod);
  compare("sqrt_recipm1_alphas_cumprod", s.sqrt_recipm1_alphas_cumprod);
  compare("posterior_variance", s.posterior_variance);
  compare("posterior_log_variance_clipped", s.posterior_log_variance_clipped);
  compare("posterior_mean_coef1", s.posterior_mean_coef1);
  compare("posterior_mean_coef2", s.posterior_mean_coef2);
}

INSTANTIATE_TEST_SUITE_P(Spacings, ScheduleGolden,
                         ::testing::Values("10", "20", "25", "50", "250", "1000", "ddim10",
                                           "ddim20", "ddim25", "ddim50", "ddim250"));

// sigma from the betas as DiT defines them.
TEST(ErrorWeight, IsTheStepsSquareOverTheNoiseThatIsLeft) {
  const auto schedule = make_schedule("20");
  EXPECT_EQ(error_weight(schedule, 0), 1);
  std::vector<double> sigma;
  double cumprod = 1;
  int next = 0;
  for (int t = 0; next < 20; ++t) {
    cumprod *= 1 - (1e-4 + (0.02 - 1e-4) * t / 999);
    if (t != schedule.timestep_map[static_cast<std::size_t>(next)]) continue;
    sigma.push_back(std::sqrt(1 / cumprod - 1));
    ++next;
  }
  for (int i = 1; i < 20; ++i) {
    const double now = sigma[static_cast<std::size_t>(i)];
    const double left = sigma[static_cast<std::size_t>(i) - 1];
    const double expected = std::pow(now - left, 2) / (left * left + sigma[0] * sigma[0]);
    EXPECT_NEAR(error_weight(schedule, i), expected, 1e-9 * expected) << i;
  }
  EXPECT_GT(error_weight(schedule, 1), 100) << "what the last step hardly removes";
  EXPECT_THROW((void)error_weight(schedule, 20), InputError);
  EXPECT_THROW((void)error_weight(schedule, -1), InputError);
}

TEST(SpaceTimesteps, PlainAndDdimCountsDiffer) {
  const auto plain = space_timesteps("20");
  const auto ddim = space_timesteps("ddim20");
  EXPECT_EQ(plain.size(), 20U);
  EXPECT_EQ(plain[1], 53);
  EXPECT_EQ(plain.back(), 999);
  EXPECT_EQ(ddim.size(), 20U);
  EXPECT_EQ(ddim[1], 50);
  EXPECT_EQ(ddim.back(), 950);
}

TEST(SpaceTimesteps, EmptyKeepsAll) {
  EXPECT_EQ(space_timesteps(""), space_timesteps("1000"));
  EXPECT_EQ(space_timesteps("").size(), 1000U);
}

TEST(SpaceTimesteps, HalvesRoundToEven) {
  // Stride 8 / 4 = 2 and stride 9 / 6 = 1.5: 0, 1.5, 3, 4.5, 6, 7.5, 9.
  EXPECT_THAT(space_timesteps("5", 9), ElementsAre(0, 2, 4, 6, 8));
  EXPECT_THAT(space_timesteps("7", 10), ElementsAre(0, 2, 3, 4, 6, 8, 9));
}

TEST(SpaceTimesteps, FirstSectionsTakeTheRemainder) {
  // 11 timesteps: sections 0..3, 4..7, 8..10.
  EXPECT_THAT(space_timesteps("2,1,3", 11), ElementsAre(0, 3, 4, 8, 9, 10));
  const auto sections = space_timesteps("10,15,20", 300);
  EXPECT_EQ(sections.size(), 45U);
  EXPECT_EQ(sections[9], 99);
  EXPECT_EQ(sections[24], 199);
  EXPECT_EQ(sections[44], 299);
  EXPECT_TRUE(std::is_sorted(sections.begin(), sections.end()));
}

TEST(SpaceTimesteps, DdimTakesTheSmallestStrideThatFits) {
  // Strides 500 to 999 all keep two timesteps.
  EXPECT_THAT(space_timesteps("ddim2"), ElementsAre(0, 500));
  EXPECT_EQ(space_timesteps("ddim1000").size(), 1000U);
  // Strides 5 (ceil(11 / 5) = 3) and 4 (3): 4 comes first.
  EXPECT_THAT(space_timesteps("ddim3", 11), ElementsAre(0, 4, 8));
}

TEST(SpaceTimesteps, DdimWithoutIntegerStride) {
  EXPECT_THAT([] { space_timesteps("ddim300"); },
              ThrowsMessage<InputError>(AllOf(
                  HasSubstr("spacing \"ddim300\""),
                  HasSubstr("cannot create exactly 300 steps with an integer stride over 1000"),
                  HasSubstr("ddim250 or ddim334"), HasSubstr("\"300\" for a fractional stride"))));
  EXPECT_THAT(
      [] { space_timesteps("ddim1"); },
      ThrowsMessage<InputError>(AllOf(HasSubstr("exactly 1 steps"), HasSubstr("instance ddim2,"))));
}

struct BadSpacing {
  std::string spacing;
  std::string message;
};

class SpacingError : public ::testing::TestWithParam<BadSpacing> {};

TEST_P(SpacingError, SaysWhatIsWrong) {
  const auto& [spacing, message] = GetParam();
  EXPECT_THAT([&] { make_schedule(spacing); },
              ThrowsMessage<InputError>(
                  AllOf(HasSubstr("spacing \"" + spacing.substr(0, 60)), HasSubstr(message),
                        HasSubstr("write for instance \"20\", \"ddim20\" or \"10,15,20\""))));
}

INSTANTIATE_TEST_SUITE_P(
    BadInput, SpacingError,
    ::testing::Values(
        BadSpacing{"0", "0 steps are outside the range of 1 to 1000"},
        BadSpacing{"1001", "1001 steps are outside the range of 1 to 1000"},
        BadSpacing{"ddim0", "0 steps are outside the range of 1 to 1000"},
        BadSpacing{"ddim1001", "1001 steps are outside the range of 1 to 1000"},
        BadSpacing{"-5", "\"-5\" is not a number of steps (digits only, 1 to 1000)"},
        BadSpacing{"+5", "\"+5\" is not a number"}, BadSpacing{" 20", "\" 20\" is not a number"},
        BadSpacing{"20 ", "\"20 \" is not a number"}, BadSpacing{"20x", "\"20x\" is not a number"},
        BadSpacing{"1e2", "\"1e2\" is not a number"},
        BadSpacing{"ddim", "steps (1 to 1000) is missing"},
        BadSpacing{"ddim20,20", "\"20,20\" is not a number"},
        BadSpacing{"DDIM20", "\"DDIM20\" is not a number"},
        BadSpacing{",", "steps (1 to 1000) is missing"},
        BadSpacing{"10,,20", "steps (1 to 1000) is missing"},
        BadSpacing{"10,20,", "steps (1 to 1000) is missing"},
        BadSpacing{"10,0,20", "0 steps are outside"},
        BadSpacing{"10,x,20", "\"x\" is not a number"},
        BadSpacing{"10,501", "section 2 of 2 has 500 timesteps, fewer than the 501 steps asked"},
        BadSpacing{"4294967297", "4294967297 steps are outside"},
        BadSpacing{std::string(5000, '9'), "(5000 characters): so many steps are outside"}));

TEST(SpaceTimesteps, MessagesHoldNoControlCharacters) {
  EXPECT_THAT([] { space_timesteps(std::string("2\0003\n", 4)); },
              ThrowsMessage<InputError>(HasSubstr("\"2?3?\" is not a number of steps")));
}

TEST(SpaceTimesteps, MoreSectionsThanTimesteps) {
  EXPECT_THAT([] { space_timesteps("1,1,1", 2); },
              ThrowsMessage<InputError>(HasSubstr("section 3 of 3 has 0 timesteps")));
  EXPECT_THAT([] { space_timesteps("1", 0); },
              ThrowsMessage<InputError>(HasSubstr("0 training steps to space")));
}

TEST(MakeSchedule, OneStepHasFiniteTables) {
  const Schedule s = make_schedule("1");
  ASSERT_EQ(s.steps(), 1);
  EXPECT_EQ(s.timestep_map[0], 0);
  EXPECT_NEAR(s.betas[0], 0.0001, 1e-15);
  EXPECT_EQ(s.alphas_cumprod_prev[0], 1);
  EXPECT_EQ(s.alphas_cumprod_next[0], 0);
  EXPECT_EQ(s.posterior_variance[0], 0);
  EXPECT_NEAR(s.posterior_log_variance_clipped[0], std::log(0.0001), 1e-10);
}

TEST(MakeSchedule, EmptyIsTheWholeSchedule) {
  const Schedule all = make_schedule("");
  const Schedule thousand = make_schedule("1000");
  EXPECT_EQ(all.steps(), 1000);
  EXPECT_EQ(all.spacing, "");
  EXPECT_EQ(all.alphas_cumprod, thousand.alphas_cumprod);
}

}  // namespace
}  // namespace l2c
