#include "l2c/evaluation/benchmark_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "l2c/core/build_info.h"
#include "l2c/core/error.h"
#include "l2c/ops/cpu_isa.h"

namespace l2c {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

BenchmarkRuns runs_of(std::vector<double> seconds, double ideal) {
  BenchmarkRuns runs;
  runs.seconds = std::move(seconds);
  runs.stats.steps = 10;
  runs.stats.computed = 80;
  runs.stats.ideal_speedup = ideal;
  runs.peak_memory_bytes = 123'400'000;
  return runs;
}

BenchmarkResult result_of(std::string dtype) {
  BenchmarkResult result;
  result.dtype = std::move(dtype);
  result.device = "cpu";
  result.threads = 2;
  result.batch = 4;
  result.run_gflop = 100;
  result.ceiling = {
      .layers = {{.name = "qkv", .rows = 8, .in = 4, .out = 12, .gflops = 81.5}},
      .gflops = 80,
      .square = {.name = "512 x 512 x 512", .rows = 512, .in = 512, .out = 512, .gflops = 91.25}};
  result.full = runs_of({2, 2.5, 3}, 1);
  result.cached = runs_of({2, 2}, 2);
  result.complete = true;
  return result;
}

BenchmarkReport report_of(std::vector<BenchmarkResult> results) {
  BenchmarkReport report;
  report.command = "l2c bench ...";
  report.model.architecture = "DiT-S/2";
  report.policy = "every 2";
  report.request.steps = 10;
  report.planned = static_cast<int>(results.size());
  report.results = std::move(results);
  return report;
}

TEST(BenchmarkReport, JsonHoldsEveryRunAndWhatFollows) {
  const auto json = nlohmann::json::parse(benchmark_json(report_of({result_of("fp32")})));
  EXPECT_EQ(json["command"], "l2c bench ...");
  EXPECT_TRUE(json["complete"].get<bool>());
  EXPECT_THAT(json["date"].get<std::string>(), testing::MatchesRegex("20..-..-..T..:..:..Z"));
  EXPECT_EQ(json["machine"]["l2c"], version());
  EXPECT_EQ(json["machine"]["cpu_isa"], ops::name(ops::cpu_isa()));
  EXPECT_GT(json["machine"]["processors"], 0);
  EXPECT_EQ(json["settings"]["steps"], 10);
  EXPECT_EQ(json["policy"], "every 2");
  const auto& one = json["combinations"][0];
  EXPECT_EQ(one["full"]["seconds"], (std::vector<double>{2, 2.5, 3}));
  EXPECT_DOUBLE_EQ(one["full"]["p50_seconds"], 2.5);
  EXPECT_DOUBLE_EQ(one["full"]["p95_seconds"], 2.95);
  EXPECT_DOUBLE_EQ(one["full"]["seconds_per_step"], 0.25);
  EXPECT_DOUBLE_EQ(one["full"]["images_per_second"], 1.6);
  EXPECT_DOUBLE_EQ(one["full"]["gflops"], 40);
  EXPECT_DOUBLE_EQ(one["full"]["of_product_ceiling"], 0.5);
  EXPECT_DOUBLE_EQ(one["cached"]["gflops"], 25);
  EXPECT_EQ(one["cached"]["peak_memory_bytes"], 123'400'000);
  EXPECT_DOUBLE_EQ(one["ideal_speedup"], 2);
  EXPECT_DOUBLE_EQ(one["realised_speedup"], 1.125);  // of 1 and 1.25, round by round
  EXPECT_DOUBLE_EQ(one["realised_over_ideal"], 0.5625);
  EXPECT_EQ(one["product_ceiling"]["layers"][0]["name"], "qkv");
  EXPECT_EQ(one["product_ceiling"]["square"]["gflops"], 91.25);
  EXPECT_FALSE(one["full"].contains("profile"));
}

TEST(BenchmarkReport, TableHasALineForEachKindOfRun) {
  const auto table = benchmark_table(report_of({result_of("fp32"), result_of("bf16")}));
  EXPECT_THAT(table, testing::ContainsRegex("fp32 +4 +2 +all computed +3 +2\\.500 +2\\.950 "
                                            "+250\\.00 +1\\.600 +40\\.0 +50\\.0% +123\n"));
  EXPECT_THAT(table, testing::ContainsRegex("bf16 +4 +2 +cached +2 +2\\.000 +2\\.000 +200\\.00 "
                                            "+2\\.000 +25\\.0 +31\\.2% +123 +2\\.000x "
                                            "+1\\.125x +56\\.2%\n"));
  EXPECT_THAT(table, HasSubstr("qkv 81.5, best square 512 x 512 x 512 91.2"));
}

TEST(BenchmarkReport, MoreThanTheIdealIsDoubted) {
  auto result = result_of("fp32");
  EXPECT_THAT(benchmark_table(report_of({result})), Not(HasSubstr("note:")));
  result.cached->seconds = {0.75};  // more than twice as fast by half of the work
  EXPECT_THAT(benchmark_table(report_of({result})), HasSubstr("note: more than the ideal"));
}

TEST(BenchmarkReport, ColumnsStandBelowTheirNames) {
  const auto table = benchmark_table(report_of({result_of("fp32")}));
  const auto first = table.find('\n');
  const auto header = table.substr(0, first);
  const auto second = table.find('\n', first + 1);
  const auto third = table.find('\n', second + 1);
  EXPECT_EQ(table.substr(second + 1, third - second - 1).size(), header.size());
  EXPECT_EQ(table[first + header.find("peak MB") + 7], '3') << table;
}

TEST(BenchmarkReport, WhatWasStoppedIsMarked) {
  auto stopped = result_of("bf16");
  stopped.complete = false;
  stopped.full.seconds.clear();
  stopped.cached->seconds.clear();
  const auto report = report_of({result_of("fp32"), stopped});
  EXPECT_FALSE(complete(report));
  EXPECT_TRUE(complete(report_of({result_of("fp32")})));
  auto fewer = report_of({result_of("fp32")});
  fewer.planned = 2;
  EXPECT_FALSE(complete(fewer));
  const auto json = nlohmann::json::parse(benchmark_json(report));
  EXPECT_FALSE(json["complete"].get<bool>());
  EXPECT_FALSE(json["combinations"][1]["complete"].get<bool>());
  EXPECT_FALSE(json["combinations"][1].contains("realised_speedup"));
  EXPECT_TRUE(json["combinations"][1]["full"]["seconds"].empty());
  EXPECT_THAT(benchmark_table(report), Not(HasSubstr("bf16       4       2  all computed")));
  EXPECT_THAT(benchmark_table(report_of({stopped})), HasSubstr("no run was finished"));
  EXPECT_GT(benchmark_chart(report).width, 0);
  EXPECT_THROW((void)benchmark_chart(report_of({stopped})), InputError);
}

TEST(BenchmarkReport, ProfilesAreListedByOperation) {
  auto result = result_of("fp32");
  EXPECT_EQ(profile_table(report_of({result})), "");
  result.full.profile = {
      .cpu_seconds = 4,
      .wall_seconds = 2.5,
      .operations = {{.name = "qkv", .seconds = 3, .share = 0.75, .gflops = 33.25},
                     {.name = "other", .seconds = 1, .share = 0.25}}};
  const auto report = report_of({result});
  EXPECT_THAT(profile_table(report),
              AllOf(HasSubstr("fp32, batch 4, 2 threads, all computed: 4.000 s"),
                    testing::ContainsRegex("qkv +3\\.0000 +75\\.0% +33\\.2\n"),
                    testing::ContainsRegex("other +1\\.0000 +25\\.0% +-\n")));
  const auto json = nlohmann::json::parse(benchmark_json(report));
  const auto& profile = json["combinations"][0]["full"]["profile"];
  EXPECT_EQ(profile["operations"][0]["gflops"], 33.25);
  EXPECT_TRUE(profile["operations"][1]["gflops"].is_null());
}

}  // namespace
}  // namespace l2c
