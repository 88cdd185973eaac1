#include "l2c/diffusion/steps.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "l2c/core/error.h"
#include "l2c/core/torch.h"
#include "l2c/io/safetensors.h"
#include "support/golden.h"

namespace l2c {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr double kTolerance = 1e-5;

// One recorded step of the official code.
struct Recorded {
  const io::SafetensorsFile& file;
  int i;
  at::Device device;

  at::Tensor x = input("x");
  at::Tensor model_output = input("model_output");
  at::Tensor noise = input("noise");

  [[nodiscard]] at::Tensor expected(const std::string& part) const {
    return file.tensor(fmt::format("t{}.{}", i, part));
  }
  [[nodiscard]] at::Tensor input(const std::string& part) const {
    return expected(part).to(device);
  }
};

std::vector<int> recorded_indices(const io::SafetensorsFile& file) {
  std::vector<int> indices;
  for (const auto& name : file.names()) {
    if (name.ends_with(".q_sample")) indices.push_back(std::stoi(name.substr(1)));
  }
  return indices;
}

class StepsGolden : public ::testing::TestWithParam<std::string> {
 protected:
  // Runs `body` with clip on and off for every recorded step.
  void each(const std::function<void(const Recorded&, bool clip, const std::string& suffix)>& body,
            at::Device device = at::kCPU) {
    const auto indices = recorded_indices(file_);
    ASSERT_EQ(indices.size(), 4U);
    for (const int i : indices) {
      SCOPED_TRACE(fmt::format("spaced timestep index {}", i));
      const Recorded recorded{file_, i, device};
      body(recorded, true, ".clip");
      body(recorded, false, ".noclip");
    }
  }
  void expect_step(const StepResult& result, const Recorded& recorded, const std::string& part) {
    SCOPED_TRACE(part);
    const auto golden = fmt::format("steps_{} {}", GetParam(), part.substr(0, part.rfind('.')));
    test::expect_close(result.sample, recorded.expected(part + ".sample"), kTolerance, golden);
    test::expect_close(result.pred_xstart, recorded.expected(part + ".pred_xstart"), kTolerance,
                       golden);
  }
  void expect_ddim(at::Device device) {
    each(
        [&](const Recorded& r, bool clip, const std::string& suffix) {
          for (const auto& [eta, name] : {std::pair{0.0, "0.0"}, {0.5, "0.5"}, {1.0, "1.0"}}) {
            expect_step(ddim_step(schedule_, r.i, r.x, r.model_output, eta, r.noise, clip), r,
                        std::string("ddim_eta") + name + suffix);
          }
        },
        device);
  }
  void expect_ddpm(at::Device device) {
    each(
        [&](const Recorded& r, bool clip, const std::string& suffix) {
          expect_step(ddpm_step(schedule_, r.i, r.x, r.model_output, r.noise, clip), r,
                      "p_sample" + suffix);
        },
        device);
  }
  const io::SafetensorsFile file_ =
      io::SafetensorsFile::open(test::data("steps/steps_" + GetParam() + ".safetensors"));
  const Schedule schedule_ = make_schedule(GetParam());
};

TEST_P(StepsGolden, PMeanVariance) {
  each([&](const Recorded& r, bool clip, const std::string& suffix) {
    const auto p = p_mean_variance(schedule_, r.i, r.x, r.model_output, clip);
    const std::string golden = "steps_" + GetParam() + " p_mean_variance";
    const std::string part = "p_mean_variance" + suffix;
    test::expect_close(p.mean, r.expected(part + ".mean"), kTolerance, golden);
    test::expect_close(p.variance, r.expected(part + ".variance"), kTolerance, golden);
    test::expect_close(p.log_variance, r.expected(part + ".log_variance"), kTolerance, golden);
    test::expect_close(p.pred_xstart, r.expected("p_sample" + suffix + ".pred_xstart"), kTolerance,
                       golden);
  });
}

TEST_P(StepsGolden, Ddpm) { expect_ddpm(at::kCPU); }

TEST_P(StepsGolden, Ddim) { expect_ddim(at::kCPU); }

TEST_P(StepsGolden, OnGpu) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU (or a LibTorch without its CUDA side)";
  expect_ddpm(at::kCUDA);
  expect_ddim(at::kCUDA);
}

TEST_P(StepsGolden, QSample) {
  each([&](const Recorded& r, bool, const std::string&) {
    test::expect_close(q_sample(schedule_, r.i, r.x, r.noise), r.expected("q_sample"), kTolerance,
                       "steps_" + GetParam() + " q_sample");
  });
}

INSTANTIATE_TEST_SUITE_P(Spacings, StepsGolden, ::testing::Values("20", "250", "ddim50"));

// A small step of its own for what the golden files do not hold.
class Steps : public ::testing::Test {
 protected:
  static at::Tensor values(at::IntArrayRef shape, double shift) {
    return at::arange(c10::multiply_integers(shape), at::kFloat).add_(shift).sin_().reshape(shape);
  }
  const Schedule schedule = make_schedule("20");
  const at::Tensor x = values({2, 4, 3, 3}, 0);
  const at::Tensor epsilon = values({2, 4, 3, 3}, 0.3);
  const at::Tensor learned = values({2, 8, 3, 3}, 0.7);
  const at::Tensor noise = values({2, 4, 3, 3}, 0.9);
};

TEST_F(Steps, WithoutVarianceThePosteriorsIsTaken) {
  const auto p = p_mean_variance(schedule, 5, x, epsilon);
  const auto log_variance = static_cast<float>(schedule.posterior_log_variance_clipped[5]);
  test::expect_equal(p.log_variance, at::full_like(x, log_variance), "log variance");
  test::expect_close(p.variance, p.log_variance.exp(), 1e-6, "fixed variance");
  // A learned variance of -1 is the posterior's.
  const auto output = at::cat({epsilon, at::full_like(epsilon, -1)}, 1);
  const auto same = p_mean_variance(schedule, 5, x, output);
  test::expect_equal(same.mean, p.mean, "mean");
  test::expect_equal(same.log_variance, p.log_variance, "log variance at -1");
  const auto fixed = ddpm_step(schedule, 5, x, epsilon, noise);
  test::expect_close(fixed.sample, ddpm_step(schedule, 5, x, output, noise).sample, 1e-6,
                     "fixed variance");
  test::expect_equal(fixed.pred_xstart, p.pred_xstart, "pred_xstart");
}

TEST_F(Steps, DdimNeedsNoNoiseWithoutEtaOrAtTheEnd) {
  const auto with = ddim_step(schedule, 7, x, learned, 0, noise);
  test::expect_equal(ddim_step(schedule, 7, x, learned, 0, {}).sample, with.sample, "eta 0");
  const auto last = ddim_step(schedule, 0, x, learned, 1, noise);
  test::expect_equal(ddim_step(schedule, 0, x, learned, 1, {}).sample, last.sample, "i 0");
  test::expect_equal(ddpm_step(schedule, 0, x, learned, {}).sample,
                     ddpm_step(schedule, 0, x, learned, noise).sample, "ddpm, i 0");
  EXPECT_THAT([&] { ddim_step(schedule, 7, x, learned, 0.5, {}); },
              ThrowsMessage<InputError>(HasSubstr("the step's noise has shape none")));
  EXPECT_THAT([&] { ddpm_step(schedule, 7, x, learned, {}); },
              ThrowsMessage<InputError>(HasSubstr("the step's noise has shape none")));
}

TEST_F(Steps, LeaveTheirInputsAlone) {
  const std::vector<at::Tensor> inputs{x, epsilon, learned, noise};
  std::vector<at::Tensor> before;
  for (const auto& input : inputs) before.push_back(input.clone());
  for (const int i : {0, 7}) {
    for (const auto& output : {epsilon, learned}) {
      p_mean_variance(schedule, i, x, output, true);
      ddpm_step(schedule, i, x, output, noise, true);
      ddim_step(schedule, i, x, output, 0.5, noise, true);
    }
    q_sample(schedule, i, x, noise);
  }
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    test::expect_equal(inputs[k], before[k], fmt::format("input {}", k));
  }
}

TEST_F(Steps, OneStepSchedule) {
  const Schedule one = make_schedule("1");
  const auto p = p_mean_variance(one, 0, x, learned);
  EXPECT_TRUE(p.log_variance.isfinite().all().item<bool>());
  const auto ddim = ddim_step(one, 0, x, learned, 0, {});
  test::expect_close(ddim.sample, ddim.pred_xstart, 1e-6, "one step");
  test::expect_close(ddpm_step(one, 0, x, learned, {}).sample, ddim.pred_xstart, 1e-6, "one step");
}

// Tensors of the meta device refuse to meet CPU tensors and have no values to look at: what runs
// with them mixes in no tensor of another device and never waits for a GPU.
TEST_F(Steps, StayOnTheDeviceOfTheirInputs) {
  const auto meta = [](const at::Tensor& tensor) { return tensor.to(at::kMeta); };
  for (const auto& output : {meta(epsilon), meta(learned)}) {
    for (const int i : {0, 7}) {
      EXPECT_TRUE(p_mean_variance(schedule, i, meta(x), output, true).log_variance.is_meta());
      EXPECT_TRUE(ddpm_step(schedule, i, meta(x), output, meta(noise), true).sample.is_meta());
      EXPECT_TRUE(ddim_step(schedule, i, meta(x), output, 0.5, meta(noise), true).sample.is_meta());
    }
  }
  EXPECT_TRUE(q_sample(schedule, 7, meta(x), meta(noise)).is_meta());
}

TEST_F(Steps, WrongShapes) {
  EXPECT_THAT([&] { ddim_step(schedule, 7, x, learned.narrow(1, 0, 6), 0, {}); },
              ThrowsMessage<InputError>(AllOf(HasSubstr("model output has shape [2, 6, 3, 3]"),
                                              HasSubstr("sample of shape [2, 4, 3, 3]"),
                                              HasSubstr("twice the channels"))));
  EXPECT_THAT([&] { ddpm_step(schedule, 7, x, learned.narrow(0, 0, 1), noise); },
              ThrowsMessage<InputError>(HasSubstr("model output has shape [1, 8, 3, 3]")));
  EXPECT_THAT([&] { p_mean_variance(schedule, 7, x[0], learned[0]); },
              ThrowsMessage<InputError>(HasSubstr("[N, C, H, W]")));
  EXPECT_THAT([&] { p_mean_variance(schedule, 7, x, {}); },
              ThrowsMessage<InputError>(HasSubstr("model output has shape none")));
  EXPECT_THAT([&] { ddpm_step(schedule, 7, x, learned, noise.narrow(0, 0, 1)); },
              ThrowsMessage<InputError>(AllOf(HasSubstr("noise has shape [1, 4, 3, 3]"),
                                              HasSubstr("sample's is [2, 4, 3, 3]"))));
  EXPECT_THAT([&] { q_sample(schedule, 7, x, noise[0]); },
              ThrowsMessage<InputError>(HasSubstr("noise has shape [4, 3, 3]")));
  EXPECT_THAT([&] { q_sample(schedule, 7, {}, noise); },
              ThrowsMessage<InputError>(HasSubstr("no clean sample")));
}

TEST_F(Steps, IndexOutsideTheSchedule) {
  const auto outside = [](int i) {
    return ThrowsMessage<InputError>(
        HasSubstr(fmt::format("index {} is outside the 20 steps of spacing \"20\"", i)));
  };
  EXPECT_THAT([&] { ddim_step(schedule, 20, x, learned, 0, {}); }, outside(20));
  EXPECT_THAT([&] { ddpm_step(schedule, -1, x, learned, noise); }, outside(-1));
  EXPECT_THAT([&] { p_mean_variance(schedule, 20, x, learned); }, outside(20));
  EXPECT_THAT([&] { q_sample(schedule, -1, x, noise); }, outside(-1));
}

TEST_F(Steps, BadEta) {
  const auto step = [&](double eta) { ddim_step(schedule, 19, x, learned, eta, noise); };
  EXPECT_THAT([&] { step(-0.1); }, ThrowsMessage<InputError>(HasSubstr("eta is -0.1")));
  EXPECT_THAT([&] { step(std::numeric_limits<double>::quiet_NaN()); },
              ThrowsMessage<InputError>(HasSubstr("eta is nan")));
  EXPECT_THAT([&] { step(std::numeric_limits<double>::infinity()); },
              ThrowsMessage<InputError>(HasSubstr("eta is inf")));
  // The noise alone would have more than the whole variance.
  EXPECT_THAT([&] { step(3); }, ThrowsMessage<InputError>(AllOf(HasSubstr("eta 3 adds more noise"),
                                                                HasSubstr("step 19"))));
}

TEST_F(Steps, EtaOneHasRoomInEverySchedule) {
  for (const auto* spacing : {"1000", "250", "20", "ddim50", "2", "1"}) {
    const Schedule s = make_schedule(spacing);
    for (int i = 0; i < s.steps(); ++i) {
      const auto result = ddim_step(s, i, x, learned, 1, noise);
      ASSERT_TRUE(result.sample.isfinite().all().item<bool>()) << spacing << ", step " << i;
    }
  }
}

}  // namespace
}  // namespace l2c
