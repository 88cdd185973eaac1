// What the official code reuses, bit by bit.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>

#include "cache/support.h"
#include "l2c/cache/policies.h"
#include "l2c/io/safetensors.h"
#include "support/golden.h"

namespace l2c {
namespace {

namespace fs = std::filesystem;

at::Tensor logits_of(const Router& router) {
  at::Tensor logits = at::empty({router.rows(), router.units()}, at::kFloat);
  auto* values = logits.mutable_data_ptr<float>();
  for (int row = 0; row < router.rows(); ++row) {
    for (int unit = 0; unit < router.units(); ++unit) *values++ = router.logit(row, unit);
  }
  return logits;
}

class L2cMasks : public ::testing::TestWithParam<const char*> {};

TEST_P(L2cMasks, EqualTheOfficialRun) {
  const io::SafetensorsFile golden =
      io::SafetensorsFile::open(test::data(fmt::format("l2c/{}.safetensors", GetParam())));
  const int steps = std::stoi(golden.metadata().at("steps"));
  const double threshold = std::stod(golden.metadata().at("threshold"));
  const Router router = Router::load(test::data("l2c/" + golden.metadata().at("router")));
  test::expect_equal(logits_of(router), golden.tensor("logits"), "logits");
  const CachePlan plan = *LearnedRouter(router, threshold).plan(test::ddim_shape(4, steps));
  test::expect_equal(test::reuse_mask(plan), golden.tensor("reuse_mask"), "reuse_mask");
}

INSTANTIATE_TEST_SUITE_P(Goldens, L2cMasks,
                         ::testing::Values("ddim20_boundary_thr0.5", "ddim20_random_thr0.1",
                                           "ddim20_random_thr0.9", "ddim20_reuse_all_thr0.1",
                                           "ddim20_reuse_none_thr0.1", "ddim25_random_thr0.5"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

class PublishedRouters : public ::testing::Test {
 protected:
  void SetUp() override {
    decisions_ = test::shared_reference("l2c/official_router_decisions.safetensors");
    routers_ = test::shared_reference("routers");
    if (decisions_.empty() || routers_.empty()) {
      GTEST_SKIP() << "the published routers are not here (shared/reference/routers)";
    }
  }
  [[nodiscard]] Router router(const std::string& file) const {
    return Router::load(routers_ / file);
  }
  // The official decisions [cache steps, units] (1: computed) and the rows they belong to.
  [[nodiscard]] std::pair<at::Tensor, at::Tensor> decisions(const std::string& name,
                                                            double threshold) const {
    const io::SafetensorsFile file = io::SafetensorsFile::open(decisions_);
    const std::string prefix = fmt::format("{}.thr{}.", name, threshold);
    return {file.tensor(prefix + "compute"), file.tensor(prefix + "rows")};
  }
  fs::path decisions_;
  fs::path routers_;
};

// DiT-XL/2: through the plan.
TEST_F(PublishedRouters, DdimDecisionsEqualTheOfficialOnes) {
  for (const int steps : {20, 50}) {
    const Router published = router(fmt::format("DDIM{}_router.pt", steps));
    EXPECT_EQ(published.units(), 56);
    for (const double threshold : {0.1, 0.5, 0.9}) {
      const auto [compute, rows] = decisions(fmt::format("DDIM{}", steps), threshold);
      const CachePlan plan = *LearnedRouter(published, threshold).plan(test::ddim_shape(28, steps));
      const at::Tensor mask = test::reuse_mask(plan).index_select(0, steps - 1 - rows);
      test::expect_equal(1 - mask, compute, fmt::format("DDIM{} at {}", steps, threshold));
      // Nothing is reused in the other rows.
      EXPECT_EQ(plan.reused(), mask.sum().item<int>());
      EXPECT_EQ(plan.cache_step_branches(), compute.numel());
    }
  }
}

TEST_F(PublishedRouters, DdimTotalsAreThoseOfThePaper) {
  const CachePlan ddim20 =
      *LearnedRouter(router("DDIM20_router.pt"), 0.1).plan(test::ddim_shape(28, 20));
  EXPECT_EQ(ddim20.reused(), 248);
  EXPECT_EQ(ddim20.cache_step_branches(), 560);
  const CachePlan ddim50 =
      *LearnedRouter(router("DDIM50_router.pt"), 0.1).plan(test::ddim_shape(28, 50));
  EXPECT_EQ(ddim50.reused(), 664);
  EXPECT_EQ(ddim50.cache_step_branches(), 1400);
}

// U-ViT-H/2: a sampler with rows of its own, so the scores directly.
TEST_F(PublishedRouters, DpmScoresDecideAsTheOfficialOnes) {
  for (const auto& [steps, reused_at_0_9] : {std::pair{20, 333}, std::pair{50, 1304}}) {
    const Router published = router(fmt::format("dpm{}_router.pth", steps));
    EXPECT_EQ(published.rows(), steps);
    EXPECT_EQ(published.units(), 58);
    EXPECT_EQ(published.info().spacing, "");
    EXPECT_EQ(published.info().sampler, "");
    for (const double threshold : {0.1, 0.5, 0.9}) {
      const auto [compute, rows] = decisions(fmt::format("dpm{}", steps), threshold);
      at::Tensor computed = at::empty_like(compute);
      for (int k = 0; k < rows.size(0); ++k) {
        for (int unit = 0; unit < 58; ++unit) {
          computed[k][unit] =
              published.score(rows[k].item<int>(), unit) > static_cast<float>(threshold);
        }
      }
      test::expect_equal(computed, compute, fmt::format("dpm{} at {}", steps, threshold));
      if (threshold == 0.9) {
        EXPECT_EQ(computed.numel() - computed.sum().item<int>(), reused_at_0_9);
      }
    }
  }
}

TEST_F(PublishedRouters, SayHowTheyWereTrained) {
  const RouterInfo ddim20 = router("DDIM20_router.pt").info();
  EXPECT_EQ(ddim20.lambda, 5e-6);
  EXPECT_EQ(ddim20.spacing, "20");
  EXPECT_EQ(ddim20.sampler, "ddim");
  EXPECT_EQ(ddim20.training,
            "published router (learning-to-cache): model DiT-XL/2, training steps 50000, batch "
            "size 64, learning rate 0.001");
  EXPECT_EQ(router("DDIM50_router.pt").info().lambda, 1e-6);
  EXPECT_EQ(router("DDIM50_router.pt").info().spacing, "50");
}

// Our own format keeps every bit of them.
TEST_F(PublishedRouters, SurviveConversion) {
  for (const char* file : {"DDIM20_router.pt", "dpm50_router.pth"}) {
    const Router published = router(file);
    const fs::path path = test::scratch() / "converted.safetensors";
    published.save(path);
    const Router converted = Router::load(path);
    test::expect_equal(logits_of(converted), logits_of(published), file);
    EXPECT_EQ(converted.info(), published.info());
  }
}

}  // namespace
}  // namespace l2c
