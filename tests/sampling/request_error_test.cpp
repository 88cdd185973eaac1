// What a request may get wrong, and what the message says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <memory>

#include "l2c/cache/policies.h"
#include "l2c/core/error.h"
#include "l2c/sampling/pipeline.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Request good() {
  Request request;
  request.labels = {1, 2};
  request.steps = 20;
  return request;
}

// The message of the error that the changed request gives; "" when there is none. plan() must find
// it, too: it is what the program asks before the work.
template <typename Expected = InputError>
std::string error_of(const std::function<void(Request&)>& change) {
  const Pipeline pipeline(test::tiny_model());
  auto request = good();
  change(request);
  EXPECT_THROW((void)pipeline.plan(request), Expected);
  try {
    (void)pipeline.sample(request);
  } catch (const Expected& error) {
    return error.what();
  }
  return "";
}

std::shared_ptr<const CachePolicy> policy(Router router, double threshold = 0.5) {
  return std::make_shared<LearnedRouter>(std::move(router), threshold);
}

Router zeros(int rows, int units, RouterInfo info = {}) {
  return Router(rows, units, std::vector<float>(static_cast<std::size_t>(rows * units)),
                std::move(info), "zeros.safetensors");
}

TEST(BadRequest, Labels) {
  EXPECT_THAT(error_of([](Request& r) { r.labels = {-1}; }),
              AllOf(HasSubstr("label -1"), HasSubstr("0 to 9")));
  EXPECT_THAT(error_of([](Request& r) { r.labels = {3, 10}; }),
              AllOf(HasSubstr("label 10"), HasSubstr("0 to 9")));
  EXPECT_THAT(error_of([](Request& r) { r.labels.clear(); }), HasSubstr("no labels"));
}

TEST(BadRequest, NumberOfTheFirstImage) {
  EXPECT_THAT(error_of([](Request& r) { r.first_image = -1; }),
              HasSubstr("number -1 of the first"));
  EXPECT_THAT(
      error_of([](Request& r) { r.first_image = std::numeric_limits<std::int64_t>::max(); }),
      HasSubstr("give 0 to 2^62"));
}

TEST(BadRequest, StepsAndSpacing) {
  for (const int steps : {0, -3, 1001}) {
    EXPECT_THAT(error_of([&](Request& r) { r.steps = steps; }),
                AllOf(HasSubstr(std::to_string(steps) + " steps"), HasSubstr("1 to 1000")));
  }
  const auto spacing = [](const char* text) {
    return error_of([&](Request& r) {
      r.steps.reset();
      r.spacing = text;
    });
  };
  EXPECT_THAT(spacing("ddim300"), HasSubstr("ddim300"));
  EXPECT_THAT(spacing("many"), HasSubstr("many"));
  EXPECT_THAT(error_of([](Request& r) { r.spacing = "ddim50"; }),
              AllOf(HasSubstr("ddim50"), HasSubstr("50 steps"), HasSubstr("20")));
}

TEST(BadRequest, Counts) {
  EXPECT_THAT(error_of([](Request& r) { r.per_class = 0; }), HasSubstr("0 images a class"));
  EXPECT_THAT(error_of([](Request& r) { r.batch_size = 0; }), HasSubstr("batch size 0"));
}

TEST(BadRequest, EtaAndGuidance) {
  EXPECT_THAT(error_of([](Request& r) { r.eta = -0.5; }), HasSubstr("eta -0.5"));
  EXPECT_THAT(error_of([](Request& r) {
                r.eta = 0.5;
                r.sampler = SamplerKind::ddpm;
              }),
              HasSubstr("DDIM"));
  EXPECT_THAT(error_of([](Request& r) { r.guidance = std::numeric_limits<double>::quiet_NaN(); }),
              HasSubstr("guidance scale nan"));
}

TEST(BadRequest, InitialNoise) {
  const auto noise = [](std::array<std::int64_t, 4> shape, float value) {
    const auto count = static_cast<std::size_t>(shape[0] * shape[1] * shape[2] * shape[3]);
    return Latents{.shape = shape, .values = std::vector<float>(count, value)};
  };
  EXPECT_THAT(error_of([&](Request& r) { r.initial_noise = noise({3, 4, 8, 8}, 0); }),
              AllOf(HasSubstr("[3, 4, 8, 8]"), HasSubstr("[2, 4, 8, 8]")));
  EXPECT_THAT(error_of([&](Request& r) {
                r.initial_noise = noise({2, 4, 8, 8}, 0);
                r.initial_noise->values[300] = std::numeric_limits<float>::quiet_NaN();
              }),
              AllOf(HasSubstr("image 1"), HasSubstr("NaN")));
}

TEST(BadRequest, RouterThatDoesNotFit) {
  EXPECT_THAT(error_of([](Request& r) { r.cache = policy(zeros(20, 56)); }),
              AllOf(HasSubstr("zeros.safetensors"), HasSubstr("28"), HasSubstr("4")));
  EXPECT_THAT(error_of([](Request& r) { r.cache = policy(zeros(50, 8)); }),
              AllOf(HasSubstr("50"), HasSubstr("20")));
  EXPECT_THAT(error_of([](Request& r) {
                RouterInfo info;
                info.spacing = "ddim20";
                r.cache = policy(zeros(20, 8, info));
              }),
              AllOf(HasSubstr("\"ddim20\""), HasSubstr("\"20\"")));
  EXPECT_THAT(error_of([](Request& r) {
                RouterInfo info;
                info.model_fingerprint = std::string(32, 'a');
                r.cache = policy(zeros(20, 8, info));
              }),
              HasSubstr("aaaa"));
}

TEST(BadRequest, GuidanceWithoutANullLabel) {
  const Pipeline pipeline(test::tiny_model_without_null_label());
  EXPECT_FALSE(pipeline.summary().can_be_guided);
  auto request = good();
  request.steps = 2;
  EXPECT_THAT([&] { (void)pipeline.sample(request); },
              testing::ThrowsMessage<InputError>(
                  AllOf(HasSubstr("null label"), HasSubstr("guidance scale to 1"))));
  request.guidance = 1;
  EXPECT_EQ(pipeline.sample(request).images.size(), 2U);
}

TEST(BadModel, NonFiniteLatentsNameTheStep) {
  auto checkpoint = test::tiny_checkpoint();
  auto& bias = checkpoint.tensors.at("final_layer.linear.bias");
  bias = at::full_like(bias, std::numeric_limits<float>::infinity());
  const Pipeline pipeline(DiT::load(test::tiny_config(), checkpoint));
  EXPECT_THAT([&] { (void)pipeline.sample(good()); },
              testing::ThrowsMessage<RunError>(
                  AllOf(HasSubstr("not finite after step 1 of 20"), HasSubstr("timestep 999"))));
}

TEST(BadModel, NullPointer) {
  EXPECT_THROW(Pipeline(std::shared_ptr<const Denoiser>{}), InputError);
}

}  // namespace
}  // namespace l2c
