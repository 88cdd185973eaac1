#include "l2c/sampling/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "l2c/cache/policies.h"
#include "l2c/cache/pricing.h"
#include "l2c/core/error.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

Pipeline tiny() { return Pipeline(test::tiny_model()); }

Request request(int steps = 6) {
  Request request;
  request.labels = {1, 7, 3};
  request.per_class = 2;
  request.seed = 5;
  request.steps = steps;
  return request;
}

std::shared_ptr<const CachePolicy> router(const char* name, double threshold) {
  return std::make_shared<LearnedRouter>(Router::load(test::data(std::string("l2c/") + name)),
                                         threshold);
}

double distance(const Latents& a, const Latents& b) {
  const auto tensor = [](const Latents& latents) {
    return at::tensor(at::ArrayRef<float>(latents.values)).reshape(latents.shape);
  };
  return test::relative_error(tensor(a), tensor(b));
}

TEST(Pipeline, OrdersImagesByLabelThenNumber) {
  const auto result = tiny().sample(request());
  ASSERT_EQ(result.images.size(), 6U);
  std::vector<int> labels;
  for (const Image& image : result.images) labels.push_back(image.label);
  EXPECT_THAT(labels, testing::ElementsAre(1, 1, 7, 7, 3, 3));
  EXPECT_EQ(result.images[4].index, 4);
  EXPECT_EQ(result.latents.shape, (std::array<std::int64_t, 4>{6, 4, 8, 8}));
}

TEST(Pipeline, SameSeedSameBits) {
  const auto pipeline = tiny();
  const auto first = pipeline.sample(request());
  EXPECT_EQ(first.latents.values, pipeline.sample(request()).latents.values);
  auto other = request();
  other.seed = 6;
  EXPECT_GT(distance(first.latents, pipeline.sample(other).latents), 1e-2);
}

class Batching : public testing::TestWithParam<SamplerKind> {};

TEST_P(Batching, DoesNotChangeTheNoise) {
  const auto pipeline = tiny();
  auto asked = request();
  asked.sampler = GetParam();
  if (asked.sampler == SamplerKind::ddim) asked.eta = 0.7;
  const auto whole = pipeline.sample(asked);
  for (const int batch_size : {1, 4}) {
    asked.batch_size = batch_size;
    EXPECT_LT(distance(pipeline.sample(asked).latents, whole.latents), 1e-4) << batch_size;
  }
  // An image's noise depends on its index, not on how many come after it.
  asked.labels = {1};
  const auto alone = pipeline.sample(asked);
  Latents first{.shape = alone.latents.shape, .values = whole.latents.values};
  first.values.resize(alone.latents.values.size());
  EXPECT_LT(distance(alone.latents, first), 1e-4);
}

TEST_P(Batching, APartIsASliceOfTheWholeBitForBit) {
  const auto pipeline = tiny();
  auto asked = request();
  asked.labels = {1, 7, 3, 3, 0, 9};
  asked.per_class = 1;
  asked.batch_size = 2;
  asked.sampler = GetParam();
  if (asked.sampler == SamplerKind::ddim) asked.eta = 0.7;
  const auto whole = pipeline.sample(asked);
  asked.labels = {3, 3, 0, 9};
  asked.first_image = 2;
  const auto part = pipeline.sample(asked);
  const std::vector<float> slice(whole.latents.values.begin() + 2 * 4 * 8 * 8,
                                 whole.latents.values.end());
  EXPECT_EQ(part.latents.values, slice);
  EXPECT_EQ(part.images.front().index, 0);
  asked.first_image = 3;
  EXPECT_NE(pipeline.sample(asked).latents.values, slice);
}

INSTANTIATE_TEST_SUITE_P(Samplers, Batching, testing::Values(SamplerKind::ddim, SamplerKind::ddpm),
                         [](const auto& param) {
                           return param.param == SamplerKind::ddim ? "ddim_eta" : "ddpm";
                         });

TEST(Pipeline, OptionsChangeTheResult) {
  const auto pipeline = tiny();
  const auto base = pipeline.sample(request());
  const auto differs = [&](auto change) {
    auto asked = request();
    change(asked);
    return distance(pipeline.sample(asked).latents, base.latents) > 1e-3;
  };
  EXPECT_TRUE(differs([](Request& r) { r.guidance = 1; }));
  EXPECT_TRUE(differs([](Request& r) { r.guidance_channels = GuidanceChannels::all; }));
  EXPECT_TRUE(differs([](Request& r) { r.sampler = SamplerKind::ddpm; }));
  EXPECT_TRUE(differs([](Request& r) { r.eta = 1; }));
  EXPECT_TRUE(differs([](Request& r) { r.steps = 7; }));
  EXPECT_TRUE(differs([](Request& r) {
    r.steps.reset();
    r.spacing = "2,4";
  }));
}

TEST(Pipeline, WithoutGuidanceRunsOneRowAnImage) {
  auto asked = request();
  asked.cache = std::make_shared<EveryN>(2);
  const auto guided = tiny().sample(asked);
  asked.guidance = 1;
  const auto unguided = tiny().sample(asked);
  EXPECT_EQ(unguided.stats.cache_bytes * 2, guided.stats.cache_bytes);
}

TEST(Pipeline, InitialNoiseReplacesTheSeed) {
  const auto pipeline = tiny();
  auto asked = request();
  Latents noise{.shape = {6, 4, 8, 8}, .values = std::vector<float>(6 * 4 * 8 * 8, 0.25F)};
  asked.initial_noise = noise;
  const auto result = pipeline.sample(asked);
  asked.seed = 99;
  EXPECT_EQ(pipeline.sample(asked).latents.values, result.latents.values);
}

TEST(Pipeline, TakesTheNoiseOfAGuidedBatchWhole) {
  const auto pipeline = tiny();
  auto asked = request();
  std::vector<float> half(6 * 4 * 8 * 8);
  for (std::size_t i = 0; i < half.size(); ++i) half[i] = static_cast<float>(i % 7) - 3;
  asked.initial_noise = Latents{.shape = {6, 4, 8, 8}, .values = half};
  const auto expected = pipeline.sample(asked).latents.values;
  auto whole = half;
  whole.insert(whole.end(), half.begin(), half.end());
  asked.initial_noise = Latents{.shape = {12, 4, 8, 8}, .values = whole};
  EXPECT_EQ(pipeline.sample(asked).latents.values, expected);
  asked.initial_noise->values.back() += 1;
  EXPECT_THROW((void)pipeline.sample(asked), InputError);
}

TEST(Pipeline, CountsWhatRan) {
  const auto pipeline = tiny();
  auto asked = request(20);
  asked.batch_size = 4;
  const auto full = pipeline.sample(asked);
  EXPECT_EQ(full.stats.computed, 160);
  EXPECT_EQ(full.stats.reused, 0);
  EXPECT_DOUBLE_EQ(full.stats.ideal_speedup, 1);
  EXPECT_EQ(full.stats.cache_bytes, 0);
  EXPECT_EQ(full.stats.images, 6);
  EXPECT_GT(full.stats.denoise_seconds, 0);

  asked.cache = router("router_random.pt", 0.9);
  const auto cached = pipeline.sample(asked);
  const auto plan = pipeline.plan(asked);
  ASSERT_TRUE(plan);
  const auto cost = price(*plan, pipeline.cost());
  EXPECT_EQ(cached.stats.reused, 65);
  EXPECT_EQ(cached.stats.reused, cost.reused);
  EXPECT_EQ(cached.stats.cache_step_branches, 80);
  EXPECT_NEAR(cached.stats.ideal_speedup, cost.ideal_speedup, 1e-12);
  EXPECT_EQ(cached.stats.cache_bytes, cost.cache_bytes);
}

TEST(Pipeline, ReportsProgressOverAllMicroBatches) {
  auto asked = request(4);
  asked.batch_size = 4;
  asked.cache = std::make_shared<EveryN>(2);
  std::vector<Progress> seen;
  (void)tiny().sample(asked, [&](const Progress& progress) { seen.push_back(progress); });
  ASSERT_EQ(seen.size(), 9U);
  for (std::size_t k = 0; k < 8; ++k) {
    EXPECT_EQ(seen[k].phase, Phase::denoise);
    EXPECT_EQ(seen[k].step, static_cast<int>(k) + 1);
    EXPECT_EQ(seen[k].of, 8);
    EXPECT_EQ(seen[k].reused, k % 4 == 0 ? 0 : 8 * ((static_cast<int>(k) % 4 + 1) / 2));
    EXPECT_GE(seen[k].elapsed_seconds, seen[k > 0 ? k - 1 : 0].elapsed_seconds);
  }
  EXPECT_EQ(seen.back().phase, Phase::decode);
}

TEST(Pipeline, StopsWithinOneStep) {
  std::stop_source source;
  int steps = 0;
  const auto sample = [&] {
    (void)tiny().sample(
        request(10),
        [&](const Progress& progress) {
          steps = progress.step;
          if (progress.step == 3) source.request_stop();
        },
        source.get_token());
  };
  EXPECT_THAT(sample, testing::ThrowsMessage<Cancelled>(testing::HasSubstr("before step 4 of 10")));
  EXPECT_EQ(steps, 3);
}

TEST(Pipeline, PassesOnWhatTheCallbackThrows) {
  EXPECT_THROW(
      (void)tiny().sample(request(), [](const Progress&) { throw std::logic_error("mine"); }),
      std::logic_error);
}

TEST(Pipeline, ServesSeveralThreads) {
  const auto pipeline = tiny();
  const auto ask = [](int thread) {
    auto asked = request(20);
    asked.seed = static_cast<std::uint64_t>(thread);
    if (thread % 2 == 1) asked.cache = router("router_random.pt", 0.9);
    return asked;
  };
  std::vector<Result> together(4);
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back(
        [&, i] { together[static_cast<std::size_t>(i)] = pipeline.sample(ask(i)); });
  }
  threads.clear();
  for (int i = 0; i < 4; ++i) {
    const auto alone = pipeline.sample(ask(i));
    const auto& other = together[static_cast<std::size_t>(i)];
    EXPECT_LT(distance(other.latents, alone.latents), 1e-5) << i;
    EXPECT_EQ(other.stats.reused, alone.stats.reused);
  }
}

TEST(Pipeline, LoadsAFileThatSaysItsArchitecture) {
  const auto pipeline = Pipeline::load(test::demo_model());
  EXPECT_TRUE(pipeline.summary().makes_pixels);
  EXPECT_TRUE(pipeline.summary().can_be_guided);
  EXPECT_EQ(pipeline.summary().num_classes, 10);
  EXPECT_EQ(pipeline.summary().fingerprint.size(), 32U);
  auto asked = request(3);
  const auto result = pipeline.sample(asked);
  EXPECT_EQ(result.images.front().bitmap.width, 28);
  EXPECT_EQ(result.images.front().bitmap.channels, 1);
}

TEST(Pipeline, LoadsTheWeightsAskedFor) {
  const auto file = test::data("dit_tiny/train_checkpoint.pt");
  const LoadOptions ema{.architecture = test::data("dit_tiny/config.json").string(),
                        .weights = "ema",
                        .device = "cpu"};
  LoadOptions model = ema;
  model.weights = "model";
  EXPECT_EQ(Pipeline::load(file, ema).summary().fingerprint, tiny().summary().fingerprint);
  EXPECT_NE(Pipeline::load(file, model).summary().fingerprint, tiny().summary().fingerprint);
  LoadOptions wrong = ema;
  wrong.weights = "best";
  EXPECT_THAT([&] { (void)Pipeline::load(file, wrong); },
              testing::ThrowsMessage<InputError>(testing::HasSubstr("\"best\"")));
}

TEST(Pipeline, MakesAModelFromASeed) {
  const auto architecture = test::data("dit_tiny/config.json").string();
  const auto pipeline = Pipeline::seeded(architecture, 1);  // the seed of dit_tiny's own weights
  EXPECT_EQ(pipeline.summary().fingerprint, tiny().summary().fingerprint);
  const auto loaded =
      Pipeline::load(test::data("dit_tiny/weights.safetensors"), {.architecture = architecture});
  EXPECT_EQ(pipeline.sample(request()).latents.values, loaded.sample(request()).latents.values);
  EXPECT_NE(Pipeline::seeded(architecture, 2).summary().fingerprint,
            pipeline.summary().fingerprint);
  EXPECT_THAT([] { (void)Pipeline::seeded("DiT-XXL/3", 1); },
              testing::ThrowsMessage<InputError>(testing::HasSubstr("DiT-XXL/3")));
  EXPECT_THAT([&] { (void)Pipeline::seeded(architecture, std::uint64_t{1} << 40); },
              testing::ThrowsMessage<InputError>(testing::HasSubstr("1099511627776")));
  EXPECT_THAT([&] { (void)Pipeline::seeded(architecture, 1, {.dtype = "fp8"}); },
              testing::ThrowsMessage<InputError>(testing::HasSubstr("fp8")));
}

}  // namespace
}  // namespace l2c
