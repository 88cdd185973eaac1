#include "l2c/training/router_objective.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "l2c/core/error.h"
#include "l2c/io/safetensors.h"
#include "l2c/training/mixing_runner.h"
#include "router_logits.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

constexpr double lambda = 5e-6;
constexpr double clamp = 5;
constexpr int steps = 20;
constexpr int iterations = 10;

// One of the two golden trainings of dit_tiny's router, carried out by our parts.
class Golden {
 public:
  Golden(const std::string& name, double learning_rate)
      : name_("router_training/" + name),
        file_(io::SafetensorsFile::open(test::data(name_ + ".safetensors"))),
        learning_rate_(learning_rate),
        logits_(get("logits.0"), clamp) {}

  [[nodiscard]] at::Tensor get(const std::string& tensor) const {
    return file_.tensor(tensor).to(test::device());
  }
  [[nodiscard]] at::Tensor get(const std::string& tensor, int iteration) const {
    return get(tensor)[iteration];
  }
  [[nodiscard]] RouterBatch batch(const at::Tensor& x0, const at::Tensor& noise) const {
    const auto null_label = at::scalar_tensor(*model_->info().null_label, at::kLong);
    const auto labels = at::where(get("drop_mask") == 1, null_label.to(test::device()), get("y"));
    return {x0, noise, labels};
  }
  [[nodiscard]] RouterTarget target(int row, const RouterBatch& batch) const {
    return router_target(*model_, schedule_, row, batch);
  }
  [[nodiscard]] RouterLoss loss(const RouterTarget& target) const {
    return router_loss(*model_, target, logits(target.row), lambda);
  }
  [[nodiscard]] const at::Tensor& logits(int row) const { return logits_.row(row); }

  // Loss, gradient and update of one iteration, each compared with the file.
  void iterate(int iteration, const RouterTarget& target, double logits_tolerance) {
    const auto expect = [&](const at::Tensor& actual, const std::string& tensor, double tolerance) {
      test::expect_close(actual, get(tensor, iteration), tolerance, name_ + ": " + tensor);
    };
    const RouterLoss loss = this->loss(target);
    expect(loss.total.to(at::kDouble), "loss", 1e-4);
    expect(loss.mse.to(at::kDouble), "mse", 1e-4);
    expect(loss.weight_sum.to(at::kDouble), "l1_unscaled", 1e-5);
    loss.total.backward();
    expect(logits(target.row).grad(), "grad_logits_row", 1e-3);
    logits_.step(learning_rate_);
    // The tolerances of the logits are absolute.
    const auto expected = get("logits_after_step", iteration);
    const auto scale = expected.abs().max().item<double>();
    test::expect_close(logits_.values(), expected, logits_tolerance / scale,
                       name_ + ": logits_after_step");
  }

 private:
  std::string name_;
  io::SafetensorsFile file_;
  std::shared_ptr<const DiT> model_ = test::tiny_model();
  Schedule schedule_ = make_schedule("20");
  double learning_rate_;
  RouterLogits logits_;
};

TEST(RouterTrainingGolden, SameBatch10StepsTarget) {
  const Golden golden("same_batch_10_steps", 1e-3);
  const auto target = golden.target(6, golden.batch(golden.get("x0"), golden.get("noise")));
  const auto expect = [&](const at::Tensor& actual, const std::string& tensor, double tolerance) {
    test::expect_close(actual, golden.get(tensor), tolerance,
                       "router_training/same_batch_10_steps: " + tensor);
  };
  expect(target.x_s, "x_s", 1e-5);
  expect(target.output_s, "model_output_s", 1e-5);
  expect(target.x_m, "x_m", 1e-5);
  test::expect_equal(target.t_m, golden.get("timestep_m"), "timestep_m");
  ASSERT_EQ(target.branches.size(), 8U);
  for (std::size_t unit = 0; unit < target.branches.size(); ++unit) {
    const auto name = fmt::format("cached.{}.{}", unit / 2, unit % 2 == 0 ? "attn" : "mlp");
    expect(target.branches[unit], name, 1e-5);
  }
  expect(target.output, "teacher_output", 1e-5);
  const auto loss = golden.loss(target);
  expect(loss.student, "student_output", 1e-5);
  expect(loss.mse_per_sample, "mse_per_sample", 1e-4);
  expect(loss.weight_sum.reshape({1}), "l1_loss", 1e-5);
}

TEST(RouterTrainingGolden, SameBatch10Steps) {
  Golden golden("same_batch_10_steps", 1e-3);
  const auto target = golden.target(6, golden.batch(golden.get("x0"), golden.get("noise")));
  for (int i = 0; i < iterations; ++i) golden.iterate(i, target, 1e-5);
}

TEST(RouterTrainingGolden, TenBatchesMixedT) {
  Golden golden("ten_batches_mixed_t", 1e-2);
  const auto s = golden.get("t_s_index");
  const auto trained = golden.get("trained_row");
  for (int i = 0; i < iterations; ++i) {
    const auto row = static_cast<int>(s[i].item<std::int64_t>()) - 1;
    ASSERT_EQ(row, trained[i].item<std::int64_t>());
    golden.iterate(i, golden.target(row, golden.batch(golden.get("x0", i), golden.get("noise", i))),
                   1e-4);
  }
}

// The files hold rows beyond the clamp that are never trained, 3 and 4.
TEST(RouterTrainingGolden, UntrainedRowsAreClampedToo) {
  Golden golden("same_batch_10_steps", 1e-3);
  EXPECT_EQ(golden.logits(3).max().item<double>(), 5.5);
  EXPECT_EQ(golden.logits(4).min().item<double>(), -6);
  golden.iterate(0, golden.target(6, golden.batch(golden.get("x0"), golden.get("noise"))), 1e-5);
  EXPECT_EQ(golden.logits(3).max().item<double>(), clamp);
  EXPECT_EQ(golden.logits(4).min().item<double>(), -clamp);
}

TEST(RouterObjective, OnlyTheRowGetsAGradient) {
  const Golden golden("same_batch_10_steps", 1e-3);
  const auto target = golden.target(6, golden.batch(golden.get("x0"), golden.get("noise")));
  EXPECT_FALSE(target.output.requires_grad());
  EXPECT_FALSE(target.branches.front().requires_grad());
  const auto loss = golden.loss(target);
  loss.total.backward();
  for (int row = 0; row < steps; ++row) {
    EXPECT_EQ(golden.logits(row).grad().defined(), row == 6) << row;
  }
}

TEST(RouterObjective, WeightOneIsTheTeacher) {
  const auto model = test::tiny_model();
  const auto device = test::device();
  const RouterBatch batch{at::randn({2, 4, 8, 8}).to(device), at::randn({2, 4, 8, 8}).to(device),
                          at::tensor({1, 10}, at::kLong).to(device)};
  const auto target = router_target(*model, make_schedule("20"), 0, batch);
  const auto computed = router_loss(*model, target, at::full({8}, 40.0).to(device), 0);
  EXPECT_LT(computed.mse.item<double>(), 1e-10);
  const auto reused = router_loss(*model, target, at::full({8}, -40.0).to(device), 0);
  EXPECT_GT(reused.mse.item<double>(), 1e-4);
}

TEST(RouterObjective, RowsThatAreNoCacheStep) {
  const auto model = test::tiny_model();
  const RouterBatch batch{at::zeros({1, 4, 8, 8}), at::zeros({1, 4, 8, 8}),
                          at::zeros({1}, at::kLong)};
  const auto schedule = make_schedule("25");
  for (const int row : {3, 24, -2}) {
    EXPECT_THAT([&] { router_target(*model, schedule, row, batch); },
                testing::ThrowsMessage<InputError>(
                    testing::HasSubstr(fmt::format("row {} cannot be trained", row))));
  }
}

TEST(MixingRunner, RefusesARouterOfAnotherDepth) {
  const std::vector<at::Tensor> stored(4);
  EXPECT_THAT([&] { MixingRunner(at::zeros({6}), stored); },
              testing::ThrowsMessage<InputError>(testing::HasSubstr("another depth")));
}

}  // namespace
}  // namespace l2c
