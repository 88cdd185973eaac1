#include "l2c/evaluation/product_ceiling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "l2c/core/error.h"
#include "l2c/models/dit_config.h"
#include "l2c/ops/linear.h"

namespace l2c {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

ForwardCost small_cost() {
  DiTConfig config;
  config.input_size = 8;
  config.hidden_size = 64;
  config.depth = 2;
  config.num_heads = 2;
  return forward_cost(config);
}

TEST(ProductCeiling, CombinesLayersByTheirTimes) {
  // 2e9 operations in 0.1 s and 6e9 in 0.1 s.
  const std::vector<MeasuredProduct> layers{
      {.name = "a", .rows = 1000, .in = 1000, .out = 1000, .gflops = 20},
      {.name = "b", .rows = 1000, .in = 3000, .out = 1000, .gflops = 60}};
  EXPECT_NEAR(combined_gflops(layers), 40, 1e-9);
  EXPECT_THAT([] { (void)combined_gflops({}); }, ThrowsMessage<InputError>(HasSubstr("no layers")));
}

TEST(ProductCeiling, MeasuresTheLayersOfABlockAndSquares) {
  for (const std::string dtype : {"fp32", "bf16"}) {
    const auto ceiling =
        measure_product_ceiling(small_cost(), {.samples = 3, .dtype = dtype, .seconds_each = 0.01});
    ASSERT_EQ(ceiling.layers.size(), 4U);
    const auto& fc1 = ceiling.layers[2];
    EXPECT_EQ(fc1.name, "fc1");
    EXPECT_EQ(fc1.rows, 3 * 16);
    EXPECT_EQ(fc1.in, 64);
    EXPECT_EQ(fc1.out, 256);
    const auto [least, most] =
        std::minmax_element(ceiling.layers.begin(), ceiling.layers.end(),
                            [](const auto& a, const auto& b) { return a.gflops < b.gflops; });
    EXPECT_GT(least->gflops, 0);
    EXPECT_GE(ceiling.gflops, least->gflops);
    EXPECT_LE(ceiling.gflops, most->gflops);
    EXPECT_GT(ceiling.square.gflops, 0);
    EXPECT_EQ(ceiling.square.rows, ceiling.square.in);
    EXPECT_EQ(ceiling.square.rows, ceiling.square.out);
  }
}

TEST(ProductCeiling, IsWhatTheOperationReaches) {
  ForwardCost cost;
  cost.layers = {{.name = "one", .branch = BranchKind::mlp, .rows = 256, .in = 256, .out = 512}};
  const auto ceiling = measure_product_ceiling(cost, {.samples = 1, .seconds_each = 0.2});
  const c10::InferenceMode inference;
  const auto layer = ops::prepared({at::randn({512, 256}), {}}, at::kFloat);
  const at::Tensor x = at::randn({256, 256});
  double least = 1e9;
  for (int i = 0; i < 50; ++i) {
    const auto start = std::chrono::steady_clock::now();
    (void)ops::linear(layer, x);
    least = std::min(
        least, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  const double own = 1e-9 * 2 * 256 * 256 * 512 / least;
  // Both are the best of many; a busy machine may still favour one.
  EXPECT_GT(ceiling.layers[0].gflops, own / 3);
  EXPECT_LT(ceiling.layers[0].gflops, own * 3);
}

TEST(ProductCeiling, RefusesWhatItCannotMeasure) {
  const auto measured = [](CeilingOptions options) {
    return [options] { (void)measure_product_ceiling(small_cost(), options); };
  };
  EXPECT_THAT(measured({.samples = 0}), ThrowsMessage<InputError>(HasSubstr("0 samples")));
  EXPECT_THAT(measured({.dtype = "fp16"}), ThrowsMessage<InputError>(HasSubstr("fp16")));
  EXPECT_THAT(measured({.device = "tpu"}), ThrowsMessage<InputError>(HasSubstr("tpu")));
  EXPECT_THAT([] { (void)measure_product_ceiling({}, {}); },
              ThrowsMessage<InputError>(HasSubstr("no layers")));
}

TEST(ProductCeiling, CanBeStopped) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THROW((void)measure_product_ceiling(small_cost(), {}, stop.get_token()), Cancelled);
}

}  // namespace
}  // namespace l2c
