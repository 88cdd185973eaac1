#include "l2c/sweep/files.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "l2c/core/error.h"
#include "l2c/io/file.h"
#include "l2c/io/png.h"
#include "support/golden.h"
#include "sweep_support.h"

namespace l2c {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(SweepJson, ComesBackWhole) {
  const auto record = test::small_record();
  const auto again = read_sweep(sweep_json(record), "x");
  EXPECT_EQ(sweep_json(again), sweep_json(record));
  EXPECT_EQ(sweep_page(again), sweep_page(record));
  EXPECT_EQ(sweep_csv(again), sweep_csv(record));
  EXPECT_EQ(again.points[1].plan, record.points[1].plan);
  EXPECT_TRUE(again.points[3].plan->cache_step(1));
  EXPECT_FALSE(again.points[4].plan);
  EXPECT_FALSE(again.points[3].reporting);
  EXPECT_EQ(again.recommendations[0].point, 1U);
  EXPECT_EQ(again.recommendations[2].budget.kind, SweepBudget::Kind::speedup);
}

TEST(SweepJson, HoldsBothSetsOfSeedsAndTheWords) {
  const auto json = nlohmann::json::parse(sweep_json(test::small_record()));
  EXPECT_EQ(json["choosing_seeds"], (std::vector<int>{0, 1}));
  EXPECT_EQ(json["reporting_seeds"], (std::vector<int>{7, 9}));
  const auto& point = json["points"][1];
  EXPECT_DOUBLE_EQ(point["choosing"]["above_full_percent"]["mean"], 1.2);
  EXPECT_DOUBLE_EQ(point["reporting"]["above_full_percent"]["mean"], 1.6);
  EXPECT_EQ(point["choosing"]["frechet_by_seed"].size(), 2U);
  EXPECT_TRUE(json["points"][3]["reporting"].is_null());
  EXPECT_EQ(point["plan"], (std::vector<std::string>{"=####", "##.#"}));
  EXPECT_EQ(json["recommendations"][0]["policy"], "fine:1");
  EXPECT_THAT(json["recommendations"][1]["in_words"].get<std::string>(),
              HasSubstr("Nothing meets"));
}

// As of Inception's features, which know no labels, and of statistics without images.
TEST(SweepFiles, WhatWasNotMeasuredStaysUnknown) {
  auto record = test::small_record();
  const Spread unknown{.mean = std::nan(""), .deviation = std::nan("")};
  for (auto* numbers : {&record.points[1].choosing, &*record.points[1].reporting}) {
    numbers->kid = unknown;
    numbers->accuracy = unknown;
  }
  const auto text = sweep_json(record);
  EXPECT_TRUE(nlohmann::json::parse(text)["points"][1]["reporting"]["kid"]["mean"].is_null());
  const auto again = read_sweep(text, "x");
  EXPECT_EQ(sweep_json(again), text);
  for (const auto* numbers : {&again.points[1].choosing, &*again.points[1].reporting}) {
    EXPECT_TRUE(std::isnan(numbers->kid.mean));
    EXPECT_TRUE(std::isnan(numbers->accuracy.mean));
    EXPECT_FALSE(numbers->kid.deviation);
    EXPECT_EQ(numbers->precision.mean, 0.75);
  }
  EXPECT_EQ(sweep_csv(again), sweep_csv(record));
  EXPECT_THAT(sweep_csv(record), HasSubstr(",9100000,,,0.75,0.01,0.5,0.02,5,0.04,,,l2c sample"));
  EXPECT_EQ(sweep_page(again), sweep_page(record));
  EXPECT_THAT(sweep_page(record), HasSubstr("<td>–</td>"));
  EXPECT_THAT(sweep_page(test::small_record()), testing::Not(HasSubstr("<td>–</td>")));
  EXPECT_THAT(sweep_page(record), testing::Not(HasSubstr(">nan")));
  EXPECT_THAT(sweep_csv(record), testing::Not(HasSubstr("nan")));
}

TEST(SweepJson, OtherJsonIsRefused) {
  const auto refused = [](const std::string& text, const char* says) {
    EXPECT_THAT([&] { (void)read_sweep(text, "some.json"); },
                ThrowsMessage<InputError>(
                    AllOf(HasSubstr("some.json is not what l2c sweep writes"), HasSubstr(says))));
  };
  refused("", "parse error");
  refused("[]", "type_error");
  refused("{\"format\": \"l2c sweep 2\"}", "another format");
  const auto changed = [](const auto& change) {
    auto json = nlohmann::json::parse(sweep_json(test::small_record()));
    change(json);
    return json.dump();
  };
  refused(changed([](auto& json) { json["points"] = nlohmann::json::array(); }), "no points");
  refused(changed([](auto& json) { json["points"][0].erase("flops"); }), "flops");
  refused(changed([](auto& json) { json["points"][1]["plan"][1] = "##.x"; }), "##.x");
  refused(changed([](auto& json) { json["points"][1]["plan"][1] = "##."; }), "the row");
  refused(changed([](auto& json) { json["points"][1]["plan"][0] = "#.##"; }), "first");
  refused(changed([](auto& json) { json["recommendations"][0]["point"] = 5; }), "point 5");
  refused(changed([](auto& json) { json["recommendations"][0]["budget"] = "price"; }), "price");
  refused(changed([](auto& json) { json["points"][1]["choosing"]["speedup"] = nullptr; }), "null");
  refused(changed([](auto& json) { json["points"][1]["choosing"]["frechet"]["mean"] = nullptr; }),
          "null");
}

TEST(SweepCsv, HasALineForEachPointAndSetOfSeeds) {
  auto record = test::small_record();
  record.points[1].use = "l2c sample --policy 'a, \"b\"'";
  const auto csv = sweep_csv(record);
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 5 + 3);
  EXPECT_TRUE(
      csv.starts_with("policy,name,family,steps,on_front,recommended_for,seeds_for,seeds,"));
  EXPECT_THAT(csv, HasSubstr("\r\nfine:1,fine,fine,2,yes,+2%,choosing,0 1,10.12"));
  EXPECT_THAT(csv, HasSubstr("\r\nfine:1,fine,fine,2,yes,+2%,reporting,7 9,10.16,"));
  EXPECT_THAT(csv, HasSubstr("\r\nfast:1,fast,fast,2,yes,1.9x,choosing,"));
  EXPECT_THAT(csv, HasSubstr(",\"l2c sample --policy 'a, \"\"b\"\"'\",l2c eval --policy fine\r\n"));
  EXPECT_THAT(csv, HasSubstr(",0.14,1.2,0.3,0.8,"));
  record.points[0].choosing.frechet.deviation.reset();
  EXPECT_THAT(sweep_csv(record), HasSubstr(",choosing,0 1,10,,0,0.3,"));
}

TEST(SweepChart, FamiliesLookUnlike) {
  auto record = test::small_record();
  for (int i = 0; i < 12; ++i) {
    record.points.push_back(test::measured(fmt::format("point {}", i), 0.5, 1));
    record.points.back().family = fmt::format("family {}", i);
  }
  const auto chart = sweep_chart(record, SweepAxis::time);
  std::set<std::pair<std::array<std::uint8_t, 3>, Marker>> looks;
  for (const auto& series : chart.series) looks.emplace(series.colour, series.marker);
  EXPECT_GE(chart.series.size(), 13U);
  EXPECT_EQ(looks.size(), chart.series.size());
}

TEST(SweepChart, ShowsReportedNumbersFilledAndJoinsTheFront) {
  const auto record = test::small_record();
  const auto chart = sweep_chart(record, SweepAxis::time);
  ASSERT_EQ(chart.points.size(), 5U);
  EXPECT_DOUBLE_EQ(chart.points[0].x, 1.02);
  EXPECT_DOUBLE_EQ(chart.points[1].x, 0.81);
  EXPECT_DOUBLE_EQ(chart.points[1].y, 10.16);
  EXPECT_TRUE(chart.points[1].filled);
  EXPECT_TRUE(chart.points[1].spread);
  EXPECT_DOUBLE_EQ(chart.points[3].x, 0.9 * 1.02) << "full took 1.02 as long in the second timing";
  EXPECT_FALSE(chart.points[3].filled);
  EXPECT_FALSE(chart.points[3].spread);
  EXPECT_EQ(chart.points[3].label, "");
  EXPECT_EQ(chart.points[2].label, "fast");
  EXPECT_EQ(chart.line, (std::vector<std::size_t>{2, 1, 0}));
  auto turned = record;
  turned.points[1].reporting = test::numbers(0.81, 5, 1.02);
  EXPECT_EQ(sweep_chart(turned, SweepAxis::time).line, (std::vector<std::size_t>{2, 0}))
      << "a point that fresh numbers take off the front";
  EXPECT_THAT(chart.x_label, HasSubstr("seconds"));
  EXPECT_DOUBLE_EQ(chart.level.value(), 10);
  EXPECT_DOUBLE_EQ(sweep_chart(record, SweepAxis::flops).points[2].x, 1.5);
  EXPECT_THAT(sweep_chart(record, SweepAxis::flops).x_label, HasSubstr("GFLOP"));
  EXPECT_DOUBLE_EQ(sweep_chart(record, SweepAxis::memory).points[2].x, 9.1);
  EXPECT_THAT(sweep_chart(record, SweepAxis::memory).x_label, HasSubstr("MB stored"));
}

// The same images of other noise may be nearer to the real ones, or farther.
TEST(SweepChart, PutsHollowMarksWhereTheirPercentageBelongs) {
  auto record = test::small_record();
  auto& full = record.points[0].reporting.value();
  full.frechet.mean = 20;
  EXPECT_DOUBLE_EQ(record.comparable_frechet(0), 20);
  EXPECT_DOUBLE_EQ(record.comparable_frechet(1), 10.16) << "measured on the same seeds";
  EXPECT_DOUBLE_EQ(record.comparable_frechet(3), 20 * 1.09);
  const auto chart = sweep_chart(record, SweepAxis::flops);
  EXPECT_DOUBLE_EQ(chart.points[3].y, 20 * 1.09);
  EXPECT_DOUBLE_EQ(chart.level.value(), 20);
  full.speedup = 1.01;
  EXPECT_DOUBLE_EQ(record.comparable_seconds(0), 1.02) << "its own, whatever its speed-up";
  EXPECT_DOUBLE_EQ(record.comparable_seconds(3), 0.9 * 1.02 * 1.01);
  record.points[0].reporting.reset();
  EXPECT_DOUBLE_EQ(record.comparable_frechet(3), 10 * 1.09);
  EXPECT_DOUBLE_EQ(record.comparable_seconds(3), 0.9);
}

TEST(WriteSweep, WritesFourFilesAndNothingElse) {
  const auto folder = test::scratch() / "new" / "folder";
  write_sweep(folder, test::small_record());
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  EXPECT_THAT(names,
              testing::UnorderedElementsAre("sweep.json", "sweep.csv", "sweep.png", "report.html"));
  EXPECT_GE(io::read_png(folder / "sweep.png").width, 1200);
  EXPECT_EQ(io::read_text(folder / "report.html"), sweep_page(test::small_record()));
  EXPECT_EQ(sweep_json(load_sweep(folder / "sweep.json")), sweep_json(test::small_record()));
  EXPECT_THAT([&] { (void)load_sweep(folder / "sweep.csv"); },
              ThrowsMessage<InputError>(HasSubstr("sweep.csv is not what l2c sweep writes")));
  EXPECT_THAT([&] { write_sweep(folder / "sweep.csv", test::small_record()); },
              ThrowsMessage<InputError>(HasSubstr("cannot make the folder")));
}

}  // namespace
}  // namespace l2c
