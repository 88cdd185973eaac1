#include "l2c/training/validation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <new>
#include <utility>

#include "l2c/core/error.h"
#include "l2c/diffusion/loss.h"
#include "l2c/training/random.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

using testing::HasSubstr;

std::shared_ptr<const DataSet> some_data(std::int64_t count = 12) {
  at::manual_seed(3);
  return tensor_data(at::randn({count, 4, 8, 8}).clamp(-1, 1), at::arange(count) % 10, 10, "noise");
}

std::shared_ptr<const DiT> model() {
  return DiT::load(test::tiny_config(), test::tiny_checkpoint());
}

TEST(Validation, IsTheTrainingLossOfEachImage) {
  const auto data = some_data();
  const auto result = validate(*model(), *data, {.seed = 9});
  const TrainingRandom random(9);
  const auto schedule = make_schedule("");
  double mse = 0, vb = 0;
  for (std::int64_t i = 0; i < 12; ++i) {
    const auto batch = data->batch({i});
    const auto t = at::full({1}, random.integers(DrawFor::timestep, i, 1, 1000)[0], at::kLong);
    const auto noise = random.normal(DrawFor::noise, i, {4, 8, 8}).unsqueeze(0);
    const auto x_t = q_sample(schedule, t, batch.x, noise);
    ComputeAllRunner runner;
    const auto loss =
        training_loss(schedule, t, batch.x, x_t, noise, model()->forward(x_t, t, batch.y, runner));
    mse += loss.mse.item<double>() / 12;
    vb += loss.vb.item<double>() / 12;
  }
  EXPECT_EQ(result.images, 12);
  EXPECT_NEAR(result.mse, mse, 1e-5 * mse);
  EXPECT_NEAR(result.vb, vb, 1e-5 * vb);
}

TEST(Validation, BatchesChangeRoundingOnly) {
  const auto whole = validate(*model(), *some_data(), {.batch_size = 12});
  const auto parts = validate(*model(), *some_data(), {.batch_size = 5});
  EXPECT_NEAR(parts.mse, whole.mse, 1e-5 * whole.mse);
}

TEST(Validation, TheSeedAndTheNumberOfImagesDecide) {
  const auto result = validate(*model(), *some_data(), {.seed = 1});
  EXPECT_NE(validate(*model(), *some_data(), {.seed = 2}).mse, result.mse);
  const auto fewer = validate(*model(), *some_data(), {.images = 5, .seed = 1});
  EXPECT_EQ(fewer.images, 5);
  EXPECT_NE(fewer.mse, result.mse);
}

TEST(Validation, TheTenthsOfTheTimestepsMakeUpTheWhole) {
  const auto result = validate(*model(), *some_data(40));
  std::array<int, 10> counts{};
  for (std::int64_t i = 0; i < 40; ++i) {
    const auto t = TrainingRandom(123).integers(DrawFor::timestep, i, 1, 1000)[0];
    ++counts[static_cast<std::size_t>(t / 100)];
  }
  double sum = 0;
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(std::isnan(result.mse_by_timestep[i]), counts[i] == 0);
    if (counts[i] > 0) sum += result.mse_by_timestep[i] * counts[i];
  }
  EXPECT_NEAR(sum / 40, result.mse, 1e-9);
}

TEST(Validation, BadInput) {
  EXPECT_THAT([] { (void)validate(*model(), *some_data(), {.images = 13}); },
              testing::ThrowsMessage<InputError>(HasSubstr("the data have 12")));
  EXPECT_THAT([] { (void)validate(*model(), *some_data(), {.batch_size = 0}); },
              testing::ThrowsMessage<InputError>(HasSubstr("batches of 0")));
  EXPECT_THAT([] { (void)validate(*model(), *some_data(), {.images = -1}); },
              testing::ThrowsMessage<InputError>(HasSubstr("-1 images: give")));
  const auto gray = tensor_data(at::zeros({2, 1, 8, 8}), at::zeros({2}, at::kLong), 10, "gray");
  EXPECT_THAT([&] { (void)validate(*model(), *gray); },
              testing::ThrowsMessage<InputError>(HasSubstr("with 1 channels")));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THROW((void)validate(*model(), *some_data(), {}, {}, stop.get_token()), Cancelled);
}

class NoMemory final : public DataSet {
 public:
  explicit NoMemory(DataInfo info) : info_(std::move(info)) {}
  [[nodiscard]] const DataInfo& info() const override { return info_; }
  [[nodiscard]] DataBatch batch(c10::ArrayRef<std::int64_t>) const override {
    throw std::bad_alloc();
  }

 private:
  DataInfo info_;
};

TEST(Validation, SpeaksInOurErrors) {
  const NoMemory data(some_data()->info());
  EXPECT_THAT([&] { (void)validate(*model(), data); },
              testing::ThrowsMessage<RunError>(HasSubstr("out of memory: try a smaller batch")));
}

TEST(Validation, TellsHowFarItIs) {
  std::vector<std::int64_t> seen;
  (void)validate(*model(), *some_data(), {.batch_size = 5},
                 [&](std::int64_t done, std::int64_t) { seen.push_back(done); });
  EXPECT_THAT(seen, testing::ElementsAre(5, 10, 12));
}

}  // namespace
}  // namespace l2c
