// The demo model through the public pipeline, against what PyTorch made with the same noise.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "l2c/cache/policies.h"
#include "l2c/sampling/latents.h"
#include "l2c/sampling/pipeline.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

struct Case {
  const char* tensor;
  const char* router;  // null: everything computed
  double threshold;
};

class FashionSamples : public testing::TestWithParam<Case> {};

TEST_P(FashionSamples, MatchPyTorch) {
  const auto path = test::data("fashion_mnist/samples_ddim20_cfg3.safetensors");
  const auto golden = io::SafetensorsFile::open(path);
  Request request;
  request.labels = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  request.steps = 20;
  request.guidance = 3;
  request.initial_noise = load_latents(path, "z");
  const Case& param = GetParam();
  if (param.router != nullptr) {
    const auto file = test::source_dir() / "assets/fashion-mnist" / param.router;
    request.cache = std::make_shared<LearnedRouter>(Router::load(file), param.threshold);
  }
  LoadOptions options;
  options.device = test::device().str();
  const auto result = Pipeline::load(test::fashion_model(), options).sample(request);
  const auto pixels = at::tensor(at::ArrayRef<float>(result.latents.values))
                          .reshape(result.latents.shape)
                          .clamp(-1, 1);
  test::expect_close(pixels, golden.tensor(param.tensor), 1e-4,
                     std::string("fashion_mnist/") + param.tensor);
}

INSTANTIATE_TEST_SUITE_P(Golden, FashionSamples,
                         testing::Values(Case{"full.clamped", nullptr, 0},
                                         Case{"quality.thr0.1.clamped", "router20_quality.pt", 0.1},
                                         Case{"quality.thr0.5.clamped", "router20_quality.pt", 0.5},
                                         Case{"fast.thr0.1.clamped", "router20_fast.pt", 0.1},
                                         Case{"fast.thr0.5.clamped", "router20_fast.pt", 0.5}),
                         [](const auto& param) {
                           std::string name = param.param.tensor;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

}  // namespace
}  // namespace l2c
