// What the official DiT code computes while it trains (tests/data/dit_training/make_files.py).
#include <gtest/gtest.h>

#include <map>

#include "l2c/core/error.h"
#include "l2c/diffusion/loss.h"
#include "l2c/models/dit.h"
#include "l2c/training/adamw.h"
#include "l2c/training/weight_average.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

const io::SafetensorsFile& golden() {
  static const auto file = io::SafetensorsFile::open(test::data("dit_training/losses.safetensors"));
  return file;
}

at::Tensor tensor(const std::string& name) { return golden().tensor(name).to(test::device()); }

// The tiny model with weights that learn.
struct Training {
  DiTConfig config = test::tiny_config();
  DiTWeights weights =
      pack_dit_weights(config, StoredWeights(test::tiny_checkpoint()), test::device());
  std::vector<NamedTensor> parameters;
  std::shared_ptr<const DiT> model;

  Training() {
    for_each_parameter(weights, [&](const std::string& name, at::Tensor& value) {
      parameters.push_back({name, value.requires_grad_(true)});
    });
    model = DiT::around(config, weights);
  }

  [[nodiscard]] TrainingLoss loss() const {
    ComputeAllRunner runner;
    const at::Tensor output = model->forward(tensor("x_t"), tensor("t"), tensor("y"), runner);
    return training_loss(make_schedule(""), tensor("t"), tensor("x0"), tensor("x_t"),
                         tensor("noise"), output);
  }
};

// The gradients under the official names.
io::TensorMap gradients(const Training& training) {
  DiTWeights packed = training.weights;
  for_each_parameter(packed, [](const std::string&, at::Tensor& value) { value = value.grad(); });
  return unpack_dit_weights(training.config, packed);
}

TEST(DitTrainingGolden, Losses) {
  const Training training;
  const TrainingLoss loss = training.loss();
  test::expect_close(loss.mse, tensor("mse"), 1e-5, "dit_training mse");
  test::expect_close(loss.vb, tensor("vb"), 1e-5, "dit_training vb");
  test::expect_close(loss.total(), tensor("loss"), 1e-5, "dit_training loss");
}

TEST(DitTrainingGolden, Gradients) {
  const Training training;
  training.loss().total().mean().backward();
  const auto ours = gradients(training);
  int compared = 0;
  for (const auto& name : golden().names()) {
    if (!name.starts_with("grad.")) continue;
    test::expect_close(ours.at(name.substr(5)), tensor(name), 1e-4, "dit_training gradients");
    ++compared;
  }
  EXPECT_EQ(compared, 8);
}

// Expects the tensors "PREFIX.NAME" of the golden file.
int compare(const std::string& prefix, const io::TensorMap& ours, double tolerance,
            const std::string& what) {
  int compared = 0;
  for (const auto& name : golden().names()) {
    if (!name.starts_with(prefix)) continue;
    const auto found = ours.find(name.substr(prefix.size()));
    if (found == ours.end()) continue;
    at::Tensor actual = found->second.detach();
    at::Tensor expected = tensor(name);
    if (name.ends_with("attn.qkv.bias")) {
      // Attention does not depend on the keys' bias: its gradient is rounding noise, which AdamW
      // scales up to whole steps.
      const auto width = actual.size(0) / 3;
      actual = at::cat({actual.narrow(0, 0, width), actual.narrow(0, 2 * width, width)});
      expected = at::cat({expected.narrow(0, 0, width), expected.narrow(0, 2 * width, width)});
    }
    test::expect_close(actual, expected, tolerance, what);
    ++compared;
  }
  return compared;
}

DiTWeights clone(const DiTWeights& weights) {
  DiTWeights copy = weights;
  for_each_parameter(copy, [](const std::string&, at::Tensor& v) { v = v.detach().clone(); });
  return copy;
}

std::vector<at::Tensor> list(DiTWeights& weights) {
  std::vector<at::Tensor> values;
  for_each_parameter(weights, [&](const std::string&, at::Tensor& v) { values.push_back(v); });
  return values;
}

TEST(DitTrainingGolden, AdamWAndAverageOverThreeSteps) {
  Training training;
  DiTWeights slow = clone(training.weights);
  DiTWeights fast = clone(training.weights);
  WeightAverage slow_average(list(training.weights), list(slow), 0.9999, false);
  WeightAverage fast_average(list(training.weights), list(fast), 0.9, false);
  AdamW optimizer(training.parameters, {});
  const at::Tensor losses = tensor("steps.loss");
  for (int step = 0; step < 3; ++step) {
    const at::Tensor loss = training.loss().total().mean();
    test::expect_close(loss.detach(), losses[step], 1e-5, "dit_training steps.loss");
    loss.backward();
    optimizer.step(1e-4);
    slow_average.update(step);
    fast_average.update(step);
    const auto at = "step" + std::to_string(step + 1) + ".";
    EXPECT_EQ(compare(at, unpack_dit_weights(training.config, training.weights), 1e-5,
                      "dit_training weights after AdamW"),
              6);
    EXPECT_EQ(compare(at + "ema.", unpack_dit_weights(training.config, slow), 1e-5,
                      "dit_training average 0.9999"),
              6);
  }
  EXPECT_EQ(compare("step3.ema0.9.", unpack_dit_weights(training.config, fast), 1e-5,
                    "dit_training average 0.9"),
            6);
}

// In steps so few, an average that never moved would pass for one of 0.9999: this one would not.
TEST(WeightAverage, RampForgetsTheStart) {
  auto value = at::ones({2});
  auto plain = at::zeros({2});
  auto ramped = at::zeros({2});
  WeightAverage slow({value}, {plain}, 0.9999, false);
  WeightAverage quick({value}, {ramped}, 0.9999, true);
  slow.update(0);
  quick.update(0);
  EXPECT_NEAR(plain[0].item<double>(), 0.0001, 1e-7);
  EXPECT_NEAR(ramped[0].item<double>(), 0.9, 1e-6);  // decay 1/10
}

TEST(DitWeights, UnpackingIsTheWayBack) {
  const auto config = test::tiny_config();
  const auto checkpoint = test::tiny_checkpoint();
  const auto back = unpack_dit_weights(config, pack_dit_weights(config, StoredWeights(checkpoint)));
  ASSERT_EQ(back.size(), checkpoint.tensors.size());
  for (const auto& [name, value] : checkpoint.tensors) {
    test::expect_equal(back.at(name), value, name);
  }
}

TEST(DitWeights, AroundRefusesWeightsOfAnotherModel) {
  auto config = test::tiny_config();
  const auto weights = pack_dit_weights(config, StoredWeights(test::tiny_checkpoint()));
  config.num_classes += 1;
  EXPECT_THROW((void)DiT::around(config, weights), Error);
}

}  // namespace
}  // namespace l2c
