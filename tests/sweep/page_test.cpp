#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "l2c/sweep/files.h"
#include "sweep_support.h"

namespace l2c {
namespace {

using testing::HasSubstr;
using testing::Not;

std::size_t count(const std::string& page, const std::string& text) {
  std::size_t found = 0;
  for (auto at = page.find(text); at != std::string::npos; at = page.find(text, at + 1)) ++found;
  return found;
}

std::string part(const std::string& page, const std::string& id) {
  const auto from = page.find("<section id=\"" + id + "\"");
  return page.substr(from, page.find("</section>", from) - from);
}

class PageTest : public testing::Test {
 protected:
  SweepRecord record_ = test::small_record();
  std::string page_ = sweep_page(record_);
};

TEST_F(PageTest, EscapesAllTexts) {
  EXPECT_THAT(page_, HasSubstr("DiT &lt;tiny&gt;"));
  EXPECT_THAT(page_, HasSubstr("poor &lt;&amp;&gt;"));
  EXPECT_THAT(page_, HasSubstr("some &quot;fast&quot; one"));
  EXPECT_THAT(page_, HasSubstr("&#39;a &amp; b&#39;"));
  for (const auto* raw : {"<tiny>", "poor <", "\"fast\"", "'a & b'"}) {
    EXPECT_THAT(page_, Not(HasSubstr(raw)));
  }
}

TEST_F(PageTest, ComesWithNothingFromElsewhere) {
  EXPECT_THAT(page_, Not(HasSubstr("<script")));
  EXPECT_THAT(page_, Not(HasSubstr("<link")));
  const std::regex reference("(src|href|url)\\s*[=(]\\s*(?!\"data:image/png;base64,)");
  EXPECT_FALSE(std::regex_search(page_, reference));
  EXPECT_EQ(count(page_, "http"), 3U) << "the three charts' namespace alone";
}

TEST_F(PageTest, EveryPointHasItsCommands) {
  const auto commands = part(page_, "commands");
  EXPECT_EQ(count(commands, "<details"), 5U);
  for (const auto* name : {"full", "fine", "fast", "poor &lt;&amp;&gt;", "adaptive"}) {
    EXPECT_THAT(commands, HasSubstr(std::string("<pre>l2c sample --policy ") + name + "</pre>"));
    EXPECT_THAT(commands, HasSubstr(std::string("<pre>l2c eval --policy ") + name + "</pre>"));
  }
  EXPECT_THAT(commands, HasSubstr("l2c sweep --out"));
}

TEST_F(PageTest, RecommendsWithTheReportedNumbers) {
  const auto cards = part(page_, "recommendations");
  EXPECT_EQ(count(cards, "<div class=\"card"), 4U) << "three in a frame";
  EXPECT_THAT(cards, HasSubstr("You allow at most +2 % Fréchet distance"));
  EXPECT_THAT(cards, HasSubstr("1.26× as fast <small>with fine, Fréchet +1.6 % ± 0.3</small>"));
  EXPECT_THAT(cards, HasSubstr("9.10 MB stored an image"));
  EXPECT_THAT(cards, HasSubstr("You want at least 1.9x as fast"));
  EXPECT_THAT(cards, HasSubstr("<pre>l2c sample --policy fine</pre>"));
  EXPECT_THAT(cards, HasSubstr("<div class=\"card none\">"));
  EXPECT_THAT(cards, Not(HasSubstr("card missed")));
  record_.points[1].reporting->above_full.mean = 2.4;
  EXPECT_THAT(part(sweep_page(record_), "recommendations"), HasSubstr("card missed"));
  record_.recommendations.clear();
  EXPECT_THAT(part(sweep_page(record_), "recommendations"), HasSubstr("No budget was given"));
}

TEST_F(PageTest, TheTableIsSortedByTimeAndMarksTheFront) {
  const auto table = part(page_, "numbers");
  std::size_t last = 0;
  for (const auto* name : {"● fast", ">● fine", ">adaptive", ">poor", ">● full"}) {
    const auto at = table.find(name);
    ASSERT_NE(at, std::string::npos) << name;
    EXPECT_GT(at, last) << name;
    last = at;
  }
  EXPECT_EQ(count(table, "<tr class=\"front\">"), 3U);
  EXPECT_EQ(count(table, "<tr class=\"choosing\">"), 2U);
  EXPECT_THAT(table, HasSubstr("10.160 ± 0.140"));
  EXPECT_THAT(table, HasSubstr("810.0 (801.9–818.1)"));
}

TEST_F(PageTest, ShowsImagesOfTheFrontAndPlansOfAllThatReuse) {
  const auto images = part(page_, "images");
  EXPECT_EQ(count(images, "<img"), 3U);
  EXPECT_THAT(images, HasSubstr("data:image/png;base64,iVBORw0KGgo"));
  EXPECT_LT(images.find("<b>full</b>"), images.find("<b>fast</b>"));
  EXPECT_THAT(images, HasSubstr("seed 7"));
  const auto plans = part(page_, "plans");
  EXPECT_EQ(count(plans, "<img"), 2U);
  EXPECT_THAT(plans, HasSubstr("7 of 8 branches computed"));
  EXPECT_THAT(plans, HasSubstr("4 of 8 branches computed"));
  EXPECT_THAT(plans, HasSubstr("No picture: <b>adaptive</b>"));
}

TEST_F(PageTest, ShowsThreeChartsAndTheCircumstances) {
  EXPECT_EQ(count(part(page_, "charts"), "<svg"), 3U);
  const auto facts = part(page_, "circumstances");
  for (const auto* text : {"spacing", "processor", "00ff"}) EXPECT_THAT(facts, HasSubstr(text));
}

}  // namespace
}  // namespace l2c
