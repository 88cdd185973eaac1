#include "l2c/sampling/image_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "l2c/cache/policies.h"
#include "l2c/core/error.h"
#include "l2c/io/png_text.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;
using Json = nlohmann::ordered_json;

Request request() {
  Request request;
  request.labels = {1, 7, 3};
  request.per_class = 2;
  request.seed = 18446744073709551615ULL;
  request.first_image = 40;
  request.spacing = "ddim20";
  request.sampler = SamplerKind::ddpm;
  request.guidance = 1.25;
  request.guidance_channels = GuidanceChannels::all;
  request.guidance_range = {.low = 100.5, .high = 900};
  request.batch_size = 4;
  return request;
}

ImageSettings settings() {
  const Pipeline pipeline(test::tiny_model());
  const auto asked = request();
  RunStats stats;
  stats.batch_size = 4;
  auto settings = image_settings(pipeline, asked, stats);
  settings.cache = "router 0123, threshold 0.5";
  settings.router = "0123";
  settings.threshold = 0.5;
  settings.recall = "taylor:1";
  return settings;
}

TEST(ImageSettings, ComeBackFromTheirText) {
  const auto written = settings();
  EXPECT_EQ(written.device, "cpu");
  EXPECT_EQ(written.model, Pipeline(test::tiny_model()).summary().fingerprint);
  const auto text = to_text(written);
  const auto read = parse_image_settings(text, "here");
  EXPECT_EQ(to_text(read), text);
  EXPECT_EQ(read.model, written.model);
  EXPECT_EQ(read.cache, written.cache);
  EXPECT_EQ(read.threshold, 0.5);
  EXPECT_EQ(read.recall, "taylor:1");
  const Request& r = read.request;
  const Request asked = request();
  EXPECT_EQ(r.labels, asked.labels);
  EXPECT_EQ(r.per_class, 2);
  EXPECT_EQ(r.seed, asked.seed);
  EXPECT_EQ(r.first_image, 40);
  EXPECT_EQ(r.spacing, "ddim20");
  EXPECT_EQ(r.steps, 20);
  EXPECT_EQ(r.sampler, SamplerKind::ddpm);
  EXPECT_EQ(r.guidance, 1.25);
  EXPECT_EQ(r.guidance_channels, GuidanceChannels::all);
  EXPECT_EQ(r.guidance_range, asked.guidance_range);
  EXPECT_EQ(r.batch_size, 4);
}

TEST(ImageSettings, OfOneImageAreThoseOfItsMicroBatch) {
  const auto one = of_image(settings(), 5);  // the second of the second micro-batch
  EXPECT_EQ(one.image, 1);
  EXPECT_EQ(one.request.labels, (std::vector<int>{3, 3}));
  EXPECT_EQ(one.request.per_class, 1);
  EXPECT_EQ(one.request.first_image, 44);

  const Pipeline pipeline(test::tiny_model());
  auto asked = request();
  const auto whole = pipeline.sample(asked);
  const auto part = pipeline.sample(one.request);
  EXPECT_EQ(part.images.at(1).bitmap.pixels, whole.images.at(5).bitmap.pixels);

  auto seeded = settings();
  seeded.request.seeds = {1, 2, 3, 4, 5, 6};
  EXPECT_EQ(of_image(seeded, 5).request.seeds, (std::vector<std::uint64_t>{5, 6}));
  EXPECT_EQ(parse_image_settings(to_text(seeded), "here").request.seeds, seeded.request.seeds);

  auto noisy = settings();
  noisy.initial_noise = "abc";
  EXPECT_EQ(of_image(noisy, 5).image, 5);
  EXPECT_EQ(of_image(noisy, 5).request.labels, request().labels);
  EXPECT_THAT([] { (void)of_image(settings(), 6); },
              ThrowsMessage<InputError>(HasSubstr("image 6: the run has images 0 to 5")));
}

TEST(ImageSettings, ThatCannotBeRunHaveNoImages) {
  const auto refuses = [](auto change) {
    return [change] {
      auto odd = settings();
      change(odd.request);
      (void)of_image(odd, 0);
    };
  };
  const auto no_request = ThrowsMessage<InputError>(HasSubstr("no request that can be run"));
  EXPECT_THAT(refuses([](Request& r) { r.batch_size = 0; }), no_request);
  EXPECT_THAT(refuses([](Request& r) { r.batch_size = -1; }), no_request);
  EXPECT_THAT(refuses([](Request& r) { r.seeds = {1}; }), no_request);
  EXPECT_THAT(refuses([](Request& r) { r.per_class = 2147483647; }), no_request);
  EXPECT_THAT(refuses([](Request& r) { r.first_image = INT64_MAX; }), no_request);
}

TEST(ImageSettings, WithAPolicySayItsName) {
  const Pipeline pipeline(test::tiny_model());
  auto asked = request();
  asked.cache = std::make_shared<EveryN>(3);
  EXPECT_EQ(image_settings(pipeline, asked, {.batch_size = 4}).cache, "every 3");
}

TEST(ImageSettings, OfManyNamesAreReadInTime) {
  std::string text = "{\"format\":1";
  for (int i = 0; text.size() < 1'000'000; ++i) text += ",\"" + std::to_string(i) + "\":0";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THAT([&] { (void)parse_image_settings(text + "}", "here"); },
              ThrowsMessage<InputError>(HasSubstr("\"version\" is missing")));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST(ImageSettings, AreFoundInAPicture) {
  const io::Bitmap bitmap{.width = 1, .height = 1, .channels = 1, .pixels = {7}};
  const auto with = test::scratch() / "with.png";
  io::write_png_with_text(with, bitmap, image_settings_keyword, to_text(settings()));
  EXPECT_EQ(to_text(read_image_settings(with).value()), to_text(settings()));
  const auto without = test::scratch() / "without.png";
  io::write_png(without, bitmap);
  EXPECT_FALSE(read_image_settings(without).has_value());
}

TEST(ImageSettings, FingerprintsOfNoiseTellShapesAndValuesApart) {
  const Latents noise{.shape = {1, 1, 2, 2}, .values = {1, 2, 3, 4}};
  EXPECT_EQ(latents_fingerprint(noise), latents_fingerprint(noise));
  auto other = noise;
  other.values[3] = 5;
  EXPECT_NE(latents_fingerprint(other), latents_fingerprint(noise));
  other = noise;
  other.shape = {1, 1, 1, 4};
  EXPECT_NE(latents_fingerprint(other), latents_fingerprint(noise));
}

// A change of the JSON, and a part of the refusal.
struct Hostile {
  const char* name;
  std::function<void(Json&)> change;
  const char* answer;
};

class HostileSettings : public testing::TestWithParam<Hostile> {};

TEST_P(HostileSettings, AreRefused) {
  auto json = Json::parse(to_text(settings()));
  GetParam().change(json);
  const auto text = json.dump();
  EXPECT_THAT([&] { (void)parse_image_settings(text, "'x.png'"); },
              ThrowsMessage<InputError>(
                  testing::AllOf(testing::StartsWith("'x.png'"), HasSubstr(GetParam().answer))));
}

INSTANTIATE_TEST_SUITE_P(
    All, HostileSettings,
    testing::Values(
        Hostile{"no_object", [](Json& j) { j = Json::array(); }, "no JSON object"},
        Hostile{"other_format", [](Json& j) { j["format"] = 2; }, "another version of l2c"},
        Hostile{"missing_seed", [](Json& j) { j.erase("seed"); }, "\"seed\" is missing"},
        Hostile{"seed_of_text", [](Json& j) { j["seed"] = "1"; }, "whole numbers from 0 to"},
        Hostile{"negative_seed", [](Json& j) { j["seed"] = -1; }, "whole numbers from 0 to"},
        Hostile{"broken_steps", [](Json& j) { j["steps"] = 2.5; }, "\"steps\" has to be whole"},
        Hostile{"large_label", [](Json& j) { j["labels"] = {5'000'000'000}; }, "\"labels\""},
        Hostile{"nested_labels", [](Json& j) { j["labels"] = {{1}}; }, "\"labels\""},
        Hostile{"labels_no_list", [](Json& j) { j["labels"] = 5; }, "has to be a list"},
        Hostile{"sampler", [](Json& j) { j["sampler"] = "euler"; }, "ddim, ddpm or folder"},
        Hostile{"channels", [](Json& j) { j["guidance_channels"] = "4"; }, "three or all"},
        Hostile{"range", [](Json& j) { j["guidance_range"] = {1}; }, "two numbers"},
        Hostile{"eta_of_text", [](Json& j) { j["eta"] = "0"; }, "has to be a number"},
        Hostile{"escape_codes", [](Json& j) { j["model"] = "\x1b[2J"; }, "printable ASCII"},
        Hostile{"long_text", [](Json& j) { j["policy"] = std::string(10001, 'x'); },
                "at most 10000"},
        Hostile{"vae", [](Json& j) { j["vae"] = 1; }, "has to be a text"},
        Hostile{"compared", [](Json& j) { j["compared"] = 1; }, "true or false"}),
    [](const auto& param) { return param.param.name; });

TEST(ImageSettings, TextThatIsNoJsonIsRefused) {
  const auto parse = [](const std::string& text) {
    return [text] { (void)parse_image_settings(text, "here"); };
  };
  EXPECT_THAT(parse("{"), ThrowsMessage<InputError>(HasSubstr("no JSON object")));
  EXPECT_THAT(parse("{\"eta\": 1e999}"), ThrowsMessage<InputError>(HasSubstr("no JSON object")));
  EXPECT_THAT(parse(std::string(100, '[')), ThrowsMessage<InputError>(HasSubstr("nested")));
}

}  // namespace
}  // namespace l2c
