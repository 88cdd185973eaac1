// Models on Fashion-MNIST through the public pipeline, against what PyTorch made with the same
// noise.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <ostream>
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
  int steps;
  const char* router;  // null: everything computed
  double threshold;
};

void PrintTo(const Case& each, std::ostream* out) { *out << each.tensor; }

std::string test_name(const testing::TestParamInfo<Case>& each) {
  std::string name = std::string("steps_") + each.param.tensor;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

Result sample(const std::filesystem::path& folder, const std::filesystem::path& golden,
              double guidance, const Case& param) {
  Request request;
  request.labels = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  request.steps = param.steps;
  request.guidance = guidance;
  request.initial_noise = load_latents(golden, "z");
  if (param.router != nullptr) {
    request.cache =
        std::make_shared<LearnedRouter>(Router::load(folder / param.router), param.threshold);
  }
  LoadOptions options;
  options.device = test::device().str();
  return Pipeline::load(folder / "dit.safetensors", options).sample(request);
}

at::Tensor pixels(const Result& result) {
  return at::tensor(at::ArrayRef<float>(result.latents.values))
      .reshape(result.latents.shape)
      .clamp(-1, 1);
}

class FashionSamples : public testing::TestWithParam<Case> {};

TEST_P(FashionSamples, MatchPyTorch) {
  const auto folder = test::shared_reference("fashion_mnist");
  if (folder.empty())
    GTEST_SKIP() << "shared/reference is not here: it holds the provisional model";
  const auto path = test::data("fashion_mnist/samples_ddim20_cfg3.safetensors");
  const auto& param = GetParam();
  test::expect_close(pixels(sample(folder, path, 3, param)),
                     io::SafetensorsFile::open(path).tensor(param.tensor), 1e-4,
                     std::string("fashion_mnist/") + param.tensor);
}

INSTANTIATE_TEST_SUITE_P(
    Golden, FashionSamples,
    testing::Values(Case{"full.clamped", 20, nullptr, 0},
                    Case{"quality.thr0.1.clamped", 20, "router20_quality.pt", 0.1},
                    Case{"quality.thr0.5.clamped", 20, "router20_quality.pt", 0.5},
                    Case{"fast.thr0.1.clamped", 20, "router20_fast.pt", 0.1},
                    Case{"fast.thr0.5.clamped", 20, "router20_fast.pt", 0.5}),
    test_name);

class DemoModelSamples : public testing::TestWithParam<Case> {};

// The shipped model and routers: pixels, and how many branches the official model would have
// reused.
TEST_P(DemoModelSamples, MatchPyTorch) {
  const auto path = test::data("demo_model/samples.safetensors");
  const auto golden = io::SafetensorsFile::open(path);
  const auto& param = GetParam();
  const auto result = sample(test::demo_model().parent_path(), path,
                             std::stod(golden.metadata().at("guidance")), param);
  test::expect_close(pixels(result), golden.tensor(param.tensor), 1e-4,
                     std::string("demo_model/samples ") + param.tensor);
  EXPECT_EQ(std::to_string(result.stats.reused),
            golden.metadata().at(std::string(param.tensor) + ".reused"));
}

INSTANTIATE_TEST_SUITE_P(
    Golden, DemoModelSamples,
    testing::Values(Case{"20.full", 20, nullptr, 0},
                    Case{"20.quality", 20, "router20_quality.safetensors", 0.1},
                    Case{"20.fast", 20, "router20_fast.safetensors", 0.1},
                    Case{"50.full", 50, nullptr, 0},
                    Case{"50.quality", 50, "router50_quality.safetensors", 0.1},
                    Case{"50.fast", 50, "router50_fast.safetensors", 0.1}),
    test_name);

}  // namespace
}  // namespace l2c
