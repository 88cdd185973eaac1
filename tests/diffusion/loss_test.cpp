#include "l2c/diffusion/loss.h"

#include <gtest/gtest.h>

#include "l2c/diffusion/steps.h"
#include "l2c/io/safetensors.h"
#include "support/golden.h"

namespace l2c {
namespace {

const io::SafetensorsFile& golden() {
  static const auto file = io::SafetensorsFile::open(test::data("dit_training/losses.safetensors"));
  return file;
}

at::Tensor tensor(const std::string& name) { return golden().tensor(name).to(test::device()); }

constexpr double tolerance = 1e-5;

TEST(LossGolden, DitTrainingXt) {
  const at::Tensor x_t = q_sample(make_schedule(""), tensor("t"), tensor("x0"), tensor("noise"));
  test::expect_close(x_t, tensor("x_t"), tolerance, "dit_training x_t");
}

// The decoder's likelihood at t = 0, with variances from far too small to far too large.
TEST(LossGolden, DitTrainingDecoderNll) {
  const at::Tensor output = tensor("nll.model_output").clone();
  const auto parts = output.split(4, 1);
  const at::Tensor variance = parts[1].detach().clone().requires_grad_(true);
  const TrainingLoss loss =
      training_loss(make_schedule(""), tensor("nll.t"), tensor("nll.x0"), tensor("nll.x_t"),
                    at::zeros_like(tensor("nll.x0")), at::cat({parts[0], variance}, 1));
  test::expect_close(loss.vb, tensor("nll.vb"), tolerance, "dit_training nll.vb");
  loss.vb.sum().backward();
  test::expect_close(variance.grad(), tensor("nll.grad_variance"), 1e-4,
                     "dit_training nll.grad_variance");
}

TEST(TrainingLoss, VarianceTermLeavesTheMeanAlone) {
  const auto x0 = at::randn({3, 2, 4, 4}).clamp(-1, 1);
  const auto noise = at::randn_like(x0);
  const auto t = at::tensor({0, 5, 999}, at::kLong);
  const auto schedule = make_schedule("");
  const auto output = at::randn({3, 4, 4, 4}).requires_grad_(true);
  const auto loss = training_loss(schedule, t, x0, q_sample(schedule, t, x0, noise), noise, output);
  loss.vb.sum().backward();
  EXPECT_EQ(output.grad().narrow(1, 0, 2).abs().max().item<float>(), 0);
  EXPECT_GT(output.grad().narrow(1, 2, 2).abs().max().item<float>(), 0);
}

TEST(TrainingLoss, WithoutLearnedVarianceThereIsNoVarianceTerm) {
  const auto x0 = at::randn({3, 2, 4, 4});
  const auto noise = at::randn_like(x0);
  const auto t = at::tensor({0, 5, 999}, at::kLong);
  const auto schedule = make_schedule("");
  const auto loss = training_loss(schedule, t, x0, x0, noise, noise + 2);
  EXPECT_FALSE(loss.vb.defined());
  test::expect_close(loss.total(), at::full({3}, 4.0F), 1e-6, "loss of a constant error");
}

// One step for all samples is what the samplers' q_sample does.
TEST(TrainingLoss, QSampleOfEqualStepsIsTheSamplers) {
  const auto schedule = make_schedule("20");
  const auto x0 = at::randn({4, 1, 3, 3});
  const auto noise = at::randn_like(x0);
  for (const int i : {0, 7, 19}) {
    test::expect_equal(q_sample(schedule, at::full({4}, i, at::kLong), x0, noise),
                       q_sample(schedule, i, x0, noise), "q_sample");
  }
}

}  // namespace
}  // namespace l2c
