#include "l2c/models/dit_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "l2c/core/error.h"
#include "l2c/core/log.h"
#include "support/golden.h"

namespace l2c {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(DitPresets, SizesOfThePaper) {
  struct Expected {
    const char* name;
    int depth, width, heads, patch, input;
  };
  for (const auto& e :
       {Expected{"DiT-XL/2", 28, 1152, 16, 2, 32}, Expected{"DiT-XL/2-256", 28, 1152, 16, 2, 32},
        Expected{"DiT-XL/2-512", 28, 1152, 16, 2, 64}, Expected{"dit-l/4", 24, 1024, 16, 4, 32},
        Expected{"DIT-B/8-512", 12, 768, 12, 8, 64}, Expected{"DiT-S/2", 12, 384, 6, 2, 32}}) {
    const DiTConfig config = dit_preset(e.name);
    EXPECT_EQ(config.depth, e.depth) << e.name;
    EXPECT_EQ(config.hidden_size, e.width) << e.name;
    EXPECT_EQ(config.num_heads, e.heads) << e.name;
    EXPECT_EQ(config.patch_size, e.patch) << e.name;
    EXPECT_EQ(config.input_size, e.input) << e.name;
  }
}

TEST(DitPresets, NamesAndConfigurationsBelongTogether) {
  const auto names = dit_preset_names();
  EXPECT_EQ(names.size(), 24U);
  for (const auto& name : names) {
    EXPECT_EQ(dit_name(dit_preset(name)), name);
    EXPECT_NO_THROW(check_dit_config(dit_preset(name), name));
  }
  EXPECT_EQ(dit_name(DiTConfig{}), "DiT-XL/2");
  DiTConfig custom;
  custom.depth = 3;
  EXPECT_EQ(dit_name(custom), "DiT (custom)");
}

TEST(DitPresets, UnknownNameListsTheKnownOnes) {
  for (const std::string name : {"DiT-XXL/2", "DiT-XL/2-512-256", "DiT-XL/2-1024", ""}) {
    EXPECT_THAT([&] { dit_config(name); },
                ThrowsMessage<InputError>(AllOf(HasSubstr("\"" + name + "\""),
                                                HasSubstr("DiT-XL/2"), HasSubstr("DiT-S/8-512"))));
  }
}

TEST(ForwardCost, DitXl2At256) {
  const ForwardCost cost = forward_cost(dit_preset("DiT-XL/2"));
  EXPECT_EQ(cost.units.size(), 56U);
  EXPECT_EQ(cost.total().paper, 114'393'563'136.0);
  EXPECT_NEAR(cost.total().truth / 1e9, 118.62, 0.005);
  EXPECT_EQ(cost.branch_elements, 256 * 1152);
}

TEST(ForwardCost, AttentionAndMlpOfABlock) {
  DiTConfig config;
  config.input_size = 4;
  config.hidden_size = 8;
  config.num_heads = 2;
  config.depth = 2;
  const ForwardCost cost = forward_cost(config);
  ASSERT_EQ(cost.units.size(), 4U);
  EXPECT_EQ(cost.units[2].paper, 4 * 8 * 8 * 4);
  EXPECT_EQ(cost.units[2].truth, 4 * 8 * 8 * 4 + 2 * 4 * 4 * 8);
  EXPECT_EQ(cost.units[3].paper, 2 * 8 * 32 * 4);
  EXPECT_EQ(cost.units[3].truth, cost.units[3].paper);
}

TEST(ForwardCost, TheLayersOfABlockAreItsBranchesWithoutAttention) {
  const ForwardCost cost = forward_cost(dit_preset("DiT-S/4"));
  ASSERT_EQ(cost.layers.size(), 4U);
  double macs[2] = {};
  for (const LayerShape& layer : cost.layers) {
    EXPECT_EQ(layer.rows, 64);
    macs[static_cast<int>(layer.branch)] += layer.macs();
  }
  EXPECT_EQ(cost.layers[0].out, 3 * 384);
  EXPECT_EQ(macs[0], cost.units[0].paper);
  EXPECT_EQ(macs[1], cost.units[1].paper);
}

TEST(DitConfigJson, ReadsWhatItWrites) {
  DiTConfig config;
  config.input_size = 28;
  config.patch_size = 4;
  config.in_channels = 1;
  config.hidden_size = 128;
  config.depth = 8;
  config.num_heads = 4;
  config.mlp_ratio = 2.5;
  config.class_dropout_prob = 0;
  config.num_classes = 10;
  config.learn_sigma = false;
  EXPECT_EQ(dit_config_from_json(to_json(config), "here"), config);
  EXPECT_EQ(config.mlp_width(), 320);
  EXPECT_EQ(config.out_channels(), 1);
}

TEST(DitConfigJson, AbsentFieldsKeepTheirDefaults) {
  DiTConfig expected;
  expected.depth = 4;
  EXPECT_EQ(dit_config_from_json(R"({"depth": 4})", "here"), expected);
  EXPECT_EQ(dit_config_from_json("{}", "here"), DiTConfig{});
}

TEST(DitConfigJson, UnknownFieldsAreRemarkedUpon) {
  std::vector<std::string> remarks;
  set_log_handler([&](LogLevel level, std::string_view message) {
    if (level == LogLevel::warning) remarks.emplace_back(message);
  });
  const DiTConfig config = dit_config(test::data("dit_tiny/config.json").string());
  set_log_handler({});
  EXPECT_EQ(config.hidden_size, 64);
  EXPECT_THAT(remarks, ElementsAre(AllOf(HasSubstr("config.json"), HasSubstr("\"weight_seed\""))));
}

struct BadConfig {
  const char* json;
  const char* message;
};

class BadDitConfig : public ::testing::TestWithParam<BadConfig> {};

TEST_P(BadDitConfig, IsRefused) {
  EXPECT_THAT(
      [] { dit_config_from_json(GetParam().json, "some.json"); },
      ThrowsMessage<InputError>(AllOf(HasSubstr("some.json: "), HasSubstr(GetParam().message))));
}

INSTANTIATE_TEST_SUITE_P(
    Fields, BadDitConfig,
    ::testing::Values(
        BadConfig{"{", "not JSON"}, BadConfig{R"({"mlp_ratio": 1e999})", "not JSON"},
        BadConfig{"[1]", "a configuration is a JSON object"},
        BadConfig{R"({"depth": "28"})", "depth must be an integer, not \"28\""},
        BadConfig{R"({"depth": 2.5})", "depth must be an integer, not 2.5"},
        BadConfig{R"({"depth": 0})", "depth is 0, but must be 1"},
        BadConfig{R"({"depth": 18446744073709551615})", "depth is 2147483647, but must be 1"},
        BadConfig{R"({"hidden_size": -8})", "hidden_size is -8, but must be 1"},
        BadConfig{R"({"input_size": 65536})", "input_size is 65536, but must be 1 ... 32768"},
        BadConfig{R"({"num_classes": 0})", "num_classes is 0"},
        BadConfig{R"({"input_size": 33})", "input_size 33 is not a multiple of patch_size 2"},
        BadConfig{R"({"num_heads": 5})", "hidden_size 1152 is not a multiple of num_heads 5"},
        BadConfig{R"({"hidden_size": 6, "num_heads": 2})", "hidden_size 6 is not a multiple of"},
        BadConfig{R"({"class_dropout_prob": 1.5})", "class_dropout_prob is 1.5"},
        BadConfig{R"({"class_dropout_prob": null})", "class_dropout_prob must be a number"},
        BadConfig{R"({"mlp_ratio": 0})", "mlp_ratio is 0"},
        BadConfig{R"({"mlp_ratio": -1.0})", "mlp_ratio is -1"},
        BadConfig{R"({"mlp_ratio": 1e300})", "mlp_ratio is 1e+300"},
        BadConfig{R"({"learn_sigma": 1})", "learn_sigma must be true or false, not 1"}));

TEST(DitConfig, NanIsRefused) {
  DiTConfig config;
  config.mlp_ratio = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT([&] { check_dit_config(config, "mine"); },
              ThrowsMessage<InputError>(HasSubstr("mine: mlp_ratio is nan")));
}

TEST(DitConfig, FileThatIsNotThere) {
  EXPECT_THAT([] { dit_config("no/such/config.json"); },
              ThrowsMessage<InputError>(HasSubstr("no/such/config.json")));
}

TEST(DitConfig, FileWithAnyName) {
  const auto path = test::scratch() / "mine.txt";
  std::ofstream(path) << R"({"depth": 3})";
  EXPECT_EQ(dit_config(path.string()).depth, 3);
}

TEST(DitConfig, DirectoryIsNoConfiguration) {
  const auto path = test::scratch();
  EXPECT_THAT([&] { dit_config(path.string()); },
              ThrowsMessage<InputError>(HasSubstr(path.string())));
}

TEST(DitConfig, DifferencesNameTheFields) {
  DiTConfig other;
  EXPECT_EQ(differences({}, other), "");
  other.depth = 12;
  other.learn_sigma = false;
  EXPECT_EQ(differences({}, other), "depth is 28 and 12, learn_sigma is true and false");
}

}  // namespace
}  // namespace l2c
