// Several runs at once: one model, one pool of threads, a store and a workspace each.
#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

#include "l2c/cache/policies.h"
#include "l2c/sampling/pipeline.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

class ConcurrentRuns : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { at::set_num_threads(3); }
  void TearDown() override { at::set_num_threads(before_); }

 private:
  int before_ = at::get_num_threads();
};

Request request(int index) {
  Request request;
  request.labels = {index % 10, (index + 3) % 10};
  request.seed = static_cast<std::uint64_t>(index);
  request.steps = 6;
  request.guidance = index % 2 == 0 ? 4 : 1;
  if (index % 3 != 0) request.cache = std::make_shared<EveryN>(1 + index % 3);
  return request;
}

TEST_P(ConcurrentRuns, GiveWhatTheyGiveAlone) {
  const auto model = DiT::load(test::tiny_config(), test::tiny_checkpoint(), at::kCPU,
                               std::string(GetParam()) == "fp32" ? at::kFloat : at::kBFloat16);
  const Pipeline pipeline(model);
  constexpr int runs = 6;
  std::vector<std::vector<float>> alone, together(runs);
  for (int i = 0; i < runs; ++i) alone.push_back(pipeline.sample(request(i)).latents.values);
  std::vector<std::jthread> threads;
  for (int i = 0; i < runs; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 3; ++round) {
        together[static_cast<std::size_t>(i)] = pipeline.sample(request(i)).latents.values;
      }
    });
  }
  threads.clear();  // joins
  for (std::size_t i = 0; i < runs; ++i) EXPECT_EQ(together[i], alone[i]) << "run " << i;
}

INSTANTIATE_TEST_SUITE_P(Types, ConcurrentRuns, ::testing::Values("fp32", "bf16"));

}  // namespace
}  // namespace l2c
