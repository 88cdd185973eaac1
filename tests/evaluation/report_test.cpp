#include "l2c/evaluation/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "evaluation_support.h"
#include "l2c/core/build_info.h"
#include "l2c/core/error.h"
#include "support/golden.h"

namespace l2c {
namespace {

class ReportTest : public testing::Test {
 protected:
  static EvaluationReport make(const std::vector<std::string>& texts,
                               const std::vector<std::uint64_t>& seeds = {0, 7}) {
    const test::QuadrantNetwork network;
    EvaluationOptions options;
    options.request = test::small_request();
    options.seeds = seeds;
    options.images = 8;
    options.timing_rounds = 2;
    std::vector<PolicySpec> specs;
    for (const auto& text : texts) specs.push_back(parse_policy_spec(text));
    return evaluate(test::pixel_pipeline(), network,
                    measure_reference(test::random_data(50), network), specs, options,
                    test::scratch());
  }
};

TEST_F(ReportTest, JsonHoldsEveryNumberAndFingerprint) {
  const auto router = test::write_router();
  const auto report = make({"full", "router:" + router.string() + "@0.5"});
  const auto json = nlohmann::json::parse(report_json(report, "l2c eval ..."));
  EXPECT_EQ(json["command"], "l2c eval ...");
  EXPECT_EQ(json["model"]["fingerprint"], report.model.fingerprint);
  EXPECT_EQ(json["model"]["dtype"], "fp32");
  EXPECT_EQ(json["model"]["device"], "cpu");
  EXPECT_EQ(json["network"]["fingerprint"], "quadrants");
  EXPECT_EQ(json["reference"]["data_fingerprint"], "data");
  EXPECT_EQ(json["reference"]["fingerprint"], fingerprint(report.reference));
  EXPECT_EQ(json["reference"]["images"], 50);
  EXPECT_EQ(json["settings"]["seeds"], (std::vector<int>{0, 7}));
  EXPECT_EQ(json["settings"]["steps"], 6);
  EXPECT_EQ(json["settings"]["guidance"], 2);
  // Of 8 images.
  EXPECT_EQ(json["settings"]["inception_blocks"], 8);
  EXPECT_EQ(json["settings"]["inception_block_images"], 1);
  EXPECT_EQ(json["settings"]["timing_batch"], 4);
  EXPECT_EQ(json["machine"]["threads"], report.threads);
  EXPECT_EQ(json["machine"]["cpu_model"], build_info().cpu_model);
  EXPECT_EQ(json["full_timing"]["seconds"], report.full.seconds);
  ASSERT_EQ(json["policies"].size(), 2U);
  const auto& policy = json["policies"][1];
  const auto& expected = report.policies[1];
  EXPECT_EQ(policy["spec"], expected.spec.text);
  EXPECT_EQ(policy["router_fingerprint"], expected.spec.router_fingerprint);
  EXPECT_EQ(policy["threshold"], 0.5);
  EXPECT_FALSE(json["policies"][0].contains("threshold"));
  EXPECT_EQ(policy["frechet"]["mean"], expected.frechet.mean);
  EXPECT_EQ(policy["frechet"]["deviation"], expected.frechet.deviation.value());
  EXPECT_EQ(policy["kid"]["mean"], expected.kid.mean);
  EXPECT_EQ(policy["pooled_accuracy"]["low"], expected.pooled_accuracy.low);
  EXPECT_EQ(policy["ideal_speedup"], expected.ideal_speedup);
  EXPECT_EQ(policy["computed_share"], expected.computed_share);
  EXPECT_EQ(policy["cache_bytes"], expected.cache_bytes);
  const auto& timing = policy["timing"];
  EXPECT_EQ(timing["speedup"], expected.timing.speedup);
  EXPECT_EQ(timing["speedup_quartiles"]["low"], expected.timing.speedup_quartiles.low);
  EXPECT_EQ(timing["speedup_quartiles"]["high"], expected.timing.speedup_quartiles.high);
  const auto& quartiles = expected.timing.seconds_per_image_quartiles;
  EXPECT_EQ(timing["seconds_per_image_quartiles"]["low"], quartiles.low);
  EXPECT_EQ(timing["seconds_per_image_quartiles"]["high"], quartiles.high);
  ASSERT_EQ(policy["seeds"].size(), 2U);
  EXPECT_EQ(policy["seeds"][1]["seed"], 7);
  EXPECT_EQ(policy["seeds"][1]["images_fingerprint"], expected.seeds[1].images_fingerprint);
  EXPECT_EQ(policy["seeds"][1]["recall"], expected.seeds[1].quality.recall);
  EXPECT_EQ(policy["seeds"][1]["accuracy"]["high"], expected.seeds[1].quality.accuracy.high);
}

TEST_F(ReportTest, JsonWithoutACommandHasNone) {
  EXPECT_FALSE(nlohmann::json::parse(report_json(make({"full"}))).contains("command"));
}

TEST_F(ReportTest, TableHasOneLineAPolicyWithAlignedColumns) {
  auto report = make({"full", "every:2"});
  report.policies[1].frechet = {.mean = 2.15, .deviation = 0.0314};
  report.policies[1].timing.speedup = 1.514;
  report.policies[1].timing.speedup_quartiles = {.low = 1.466, .high = 1.523};
  report.policies[1].cache_bytes = 132'000;
  std::istringstream table(report_table(report));
  std::string header;
  std::string full;
  std::string every;
  std::string rest;
  std::getline(table, header);
  std::getline(table, full);
  std::getline(table, every);
  EXPECT_FALSE(std::getline(table, rest));
  EXPECT_THAT(header, testing::HasSubstr("Fréchet"));
  EXPECT_TRUE(full.starts_with("full "));
  EXPECT_TRUE(every.starts_with("every 2 "));
  EXPECT_THAT(every, testing::HasSubstr(" 2.150 ± 0.031 "));
  EXPECT_THAT(every, testing::HasSubstr(" 1.51x (1.47-1.52) "));
  EXPECT_THAT(every, testing::HasSubstr(" 50.0 "));
  EXPECT_TRUE(every.ends_with(" 132"));
  // Columns of letters, not of bytes.
  const auto columns = [](const std::string& line) {
    return std::count_if(line.begin(), line.end(),
                         [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
  };
  EXPECT_EQ(columns(full), columns(header));
  EXPECT_EQ(columns(every), columns(header));
}

TEST_F(ReportTest, OneSeedHasNoSpread) {
  auto report = make({"full", "every:2"}, {7});
  const auto text = report_json(report);
  EXPECT_TRUE(nlohmann::json::parse(text)["policies"][0]["frechet"]["deviation"].is_null());
  report.policies[1].frechet.mean = 2.15;
  EXPECT_THAT(report_table(report), testing::AllOf(testing::HasSubstr(" 2.150 ± - "),
                                                   testing::Not(testing::HasSubstr("± 0.000"))));
}

TEST_F(ReportTest, TableTellsRoutersOfOneNameApart) {
  const auto a = test::write_router();
  const auto report = make({"router:" + a.string() + "@0.5", "router:" + a.string() + "@0.9"});
  EXPECT_THAT(report_table(report), testing::HasSubstr("router@0.5 "));
  auto same = report;
  same.policies[1].spec.name = same.policies[0].spec.name;
  EXPECT_THAT(report_table(same), testing::HasSubstr(same.policies[1].spec.text));
}

TEST_F(ReportTest, TheTableComesBackFromTheJson) {
  const auto report = make({"full", "every:2"});
  EXPECT_EQ(recorded_table(report_json(report, "l2c eval"), "x"), report_table(report));
}

TEST(RecordedTable, OtherJsonIsRefused) {
  for (const auto* text : {"", "[]", "{\"policies\": [{\"name\": \"full\"}]}", "{\"policies\": 3}",
                           "{\"policies\": []}", "{\"policies\": {}}"}) {
    EXPECT_THAT([&] { (void)recorded_table(text, "some.json"); },
                testing::ThrowsMessage<InputError>(
                    testing::HasSubstr("some.json is not a report of l2c eval")))
        << text;
  }
}

}  // namespace
}  // namespace l2c
