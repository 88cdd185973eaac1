// A seed for each image, and previews.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "l2c/cache/policies.h"
#include "l2c/core/error.h"
#include "l2c/sampling/pipeline.h"
#include "l2c/sampling/tensors.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

Pipeline tiny() { return Pipeline(test::tiny_model()); }

Request request() {
  Request request;
  request.labels = {1, 7};
  request.per_class = 2;
  request.steps = 6;
  return request;
}

Latents row(const Latents& latents, std::size_t i) {
  const std::size_t size = latents.values.size() / static_cast<std::size_t>(latents.images());
  Latents one{.shape = latents.shape, .values = {}};
  one.shape[0] = 1;
  const auto first = latents.values.begin() + static_cast<std::ptrdiff_t>(i * size);
  one.values.assign(first, first + static_cast<std::ptrdiff_t>(size));
  return one;
}

class Seeds : public testing::TestWithParam<SamplerKind> {};

TEST_P(Seeds, EachImageIsThatOfARunWithItsSeed) {
  const auto pipeline = tiny();
  auto asked = request();
  asked.sampler = GetParam();
  asked.seeds = {4, 9, 4, 18446744073709551615ULL};
  for (const int batch_size : {1, 3}) {
    asked.batch_size = batch_size;
    const auto whole = pipeline.sample(asked);
    for (std::size_t i = 0; i < 4; ++i) {
      Request one = request();
      one.sampler = GetParam();
      one.labels = {asked.labels[i / 2]};
      one.per_class = 1;
      one.seed = asked.seeds[i];
      const auto alone = pipeline.sample(one).latents;
      if (batch_size == 1) {
        EXPECT_EQ(alone.values, row(whole.latents, i).values) << i;
      } else {
        EXPECT_LT(test::relative_error(to_tensor(row(whole.latents, i)), to_tensor(alone)), 1e-4);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Samplers, Seeds, testing::Values(SamplerKind::ddim, SamplerKind::ddpm),
                         [](const auto& param) {
                           return param.param == SamplerKind::ddim ? "ddim" : "ddpm";
                         });

TEST(Seeds, HaveToFitTheImages) {
  const auto sample = [](auto change) {
    return [change] {
      auto asked = request();
      asked.seeds = {1, 2, 3, 4};
      change(asked);
      (void)tiny().sample(asked);
    };
  };
  EXPECT_THAT(sample([](Request& r) { r.seeds.pop_back(); }),
              ThrowsMessage<InputError>(HasSubstr("3 seeds for 4 images")));
  EXPECT_THAT(sample([](Request& r) { r.first_image = 2; }),
              ThrowsMessage<InputError>(HasSubstr("leave it at 0")));
  EXPECT_THAT(sample([](Request& r) {
                r.initial_noise =
                    Latents{.shape = {4, 4, 8, 8}, .values = std::vector<float>(1024, 0.5F)};
              }),
              ThrowsMessage<InputError>(HasSubstr("nothing needs the seeds")));
}

TEST(Previews, ComeEveryFewStepsForTheCurrentMicroBatch) {
  auto asked = request();
  asked.batch_size = 3;
  asked.preview_every = 4;
  asked.pictures = false;
  std::vector<int> steps;
  std::vector<std::vector<int>> indices;
  const auto result = tiny().sample(asked, [&](const Progress& progress) {
    if (progress.preview.empty()) return;
    steps.push_back(progress.step);
    auto& shown = indices.emplace_back();
    for (const Image& image : progress.preview) {
      shown.push_back(image.index);
      EXPECT_EQ(image.label, image.index < 2 ? 1 : 7);
      EXPECT_EQ(image.bitmap.width, 8);
    }
  });
  EXPECT_THAT(steps, ElementsAre(4, 6, 10, 12));
  EXPECT_THAT(indices, ElementsAre(ElementsAre(0, 1, 2), ElementsAre(0, 1, 2), ElementsAre(3),
                                   ElementsAre(3)));
  EXPECT_TRUE(result.images.empty());
  EXPECT_EQ(result.latents.values, tiny()
                                       .sample([&] {
                                         auto plain = asked;
                                         plain.preview_every = 0;
                                         return plain;
                                       }())
                                       .latents.values);
}

TEST(Previews, ShowAtTheLastStepWhatComesOut) {
  auto asked = request();
  asked.preview_every = 3;
  std::vector<std::vector<Image>> shown;
  const auto result = tiny().sample(asked, [&](const Progress& progress) {
    if (!progress.preview.empty()) shown.push_back(progress.preview);
  });
  ASSERT_EQ(shown.size(), 2U);
  ASSERT_EQ(shown[1].size(), result.images.size());
  for (std::size_t i = 0; i < result.images.size(); ++i) {
    EXPECT_NE(shown[0][i].bitmap.pixels, result.images[i].bitmap.pixels);
    EXPECT_EQ(shown[1][i].bitmap.pixels, result.images[i].bitmap.pixels);
  }
}

TEST(Previews, TheirTimeIsNoDenoising) {
  auto asked = request();
  asked.preview_every = 1;
  const auto slow = [](const Progress& progress) {
    if (!progress.preview.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  };
  const auto start = std::chrono::steady_clock::now();
  const auto stats = tiny().sample(asked, slow).stats;
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  EXPECT_GT(stats.denoise_seconds, 0);
  EXPECT_LT(stats.denoise_seconds, wall.count() - 0.29);
}

TEST(Previews, HaveToBeAWholeNumberOfSteps) {
  auto asked = request();
  asked.preview_every = -1;
  EXPECT_THAT([&] { (void)tiny().sample(asked); },
              ThrowsMessage<InputError>(HasSubstr("a preview every -1 steps")));
}

TEST(Pipeline, OneServesSeveralRouters) {
  const auto pipeline = tiny();
  const auto run = [&](std::shared_ptr<const CachePolicy> policy) {
    auto asked = request();
    asked.steps = 20;
    asked.cache = std::move(policy);
    return pipeline.sample(asked);
  };
  const auto router = [](const char* name, double threshold) {
    return std::make_shared<LearnedRouter>(Router::load(test::data(std::string("l2c/") + name)),
                                           threshold);
  };
  const auto first = router("router_random.pt", 0.5);
  const auto before = run(first);
  const auto other = run(router("router_boundary.pt", 0.5));
  EXPECT_NE(before.latents.values, other.latents.values);
  EXPECT_EQ(run(first).latents.values, before.latents.values);
}

TEST(Tensors, PicturesAndLatentsWithoutFiles) {
  const auto result = tiny().sample(request());
  EXPECT_EQ(to_latents(to_tensor(result.latents)).values, result.latents.values);
  const auto picture = to_tensor(result.images[0].bitmap);
  EXPECT_EQ(picture.sizes(), (std::vector<std::int64_t>{8, 8, 3}));
  EXPECT_EQ(picture[7][7][2].item<int>(), result.images[0].bitmap.pixels.back());
  EXPECT_THAT([] { (void)to_latents(at::zeros({2, 2})); },
              ThrowsMessage<InputError>(HasSubstr("not [2, 2]")));
  EXPECT_THAT(
      [] { (void)to_tensor(io::Bitmap{.width = 2, .height = 2, .channels = 1, .pixels = {}}); },
      ThrowsMessage<InputError>(HasSubstr("cannot have 0 values")));
}

}  // namespace
}  // namespace l2c
