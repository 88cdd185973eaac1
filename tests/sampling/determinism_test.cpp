// What an image's bits depend on, as docs/embedding.md promises: not on its batch, not on threads.
#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "l2c/cache/delta_dit.h"
#include "l2c/cache/first_block_cache.h"
#include "l2c/cache/policies.h"
#include "l2c/cache/recalling.h"
#include "l2c/cache/tea_cache.h"
#include "l2c/sampling/pipeline.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

using Policies = std::vector<std::shared_ptr<const CachePolicy>>;

Policies policies() {
  const auto every_third = std::make_shared<EveryN>(3);
  return {nullptr,
          std::make_shared<EveryN>(2),
          std::make_shared<Recalling>(every_third, std::make_shared<Taylor>(1)),
          std::make_shared<FirstBlockCache>(FirstBlockOptions{.threshold = 0.1}),
          std::make_shared<TeaCache>(TeaCacheOptions{.threshold = 0.2}),
          std::make_shared<DeltaDiT>(DeltaDiTOptions{.interval = 2})};
}

Request request(SamplerKind sampler, double eta, double guidance) {
  Request request;
  request.labels = {1, 2, 8, 0, 5};
  request.seed = 3;
  request.steps = 5;
  request.sampler = sampler;
  request.eta = eta;
  request.guidance = guidance;
  request.batch_size = 5;
  request.pictures = false;
  return request;
}

class Bits : public testing::TestWithParam<std::tuple<const char*, double>> {
 protected:
  void TearDown() override { at::set_num_threads(before_); }

  // The request in other micro-batches and with other numbers of threads.
  static void expect_same(const Pipeline& pipeline, Request asked, const std::string& which) {
    at::set_num_threads(2);
    const auto whole = pipeline.sample(asked).latents.values;
    for (const auto& [batch_size, threads] : {std::pair{1, 1}, {2, 3}, {3, 1}}) {
      asked.batch_size = batch_size;
      at::set_num_threads(threads);
      EXPECT_EQ(pipeline.sample(asked).latents.values, whole)
          << which << ", batches of " << batch_size << ", " << threads << " threads";
    }
  }

 private:
  int before_ = at::get_num_threads();
};

TEST_P(Bits, OfAnImageDoNotDependOnItsBatchNorOnThreads) {
  const auto& [dtype, guidance] = GetParam();
  const auto pipeline = Pipeline::load(test::demo_model(), {.dtype = dtype});
  for (const auto& policy : policies()) {
    const std::string name = policy ? policy->name() : "none";
    auto ddim = request(SamplerKind::ddim, 0.5, guidance);
    auto ddpm = request(SamplerKind::ddpm, 0, guidance);
    ddim.cache = ddpm.cache = policy;
    expect_same(pipeline, ddim, name + ", ddim");
    expect_same(pipeline, ddpm, name + ", ddpm");
  }
}

INSTANTIATE_TEST_SUITE_P(Demo, Bits,
                         testing::Combine(testing::Values("fp32", "bf16"),
                                          testing::Values(1.0, 1.5)));

}  // namespace
}  // namespace l2c
