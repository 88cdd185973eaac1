#include "l2c/training/dit_init.h"

#include <gtest/gtest.h>

#include <cmath>

#include "l2c/models/dit.h"
#include "l2c/models/dit_weights.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

io::TensorMap tiny(std::uint64_t seed) {
  return initial_dit_weights(test::tiny_config(), TrainingRandom(seed));
}

double bound(double inputs, double outputs) { return std::sqrt(6 / (inputs + outputs)); }

TEST(DitInit, HasTheOfficialNamesAndShapes) {
  const auto tensors = tiny(0);
  const auto shapes = dit_shapes(test::tiny_config());
  ASSERT_EQ(tensors.size(), shapes.size());
  for (const auto& [name, shape] : shapes) EXPECT_EQ(tensors.at(name).sizes().vec(), shape) << name;
}

TEST(DitInit, LayersAreXavierUniform) {
  const auto tensors = tiny(0);
  const auto& qkv = tensors.at("blocks.0.attn.qkv.weight");  // [192, 64]
  const double largest = bound(64, 192);
  EXPECT_LE(qkv.abs().max().item<double>(), largest);
  EXPECT_GT(qkv.abs().max().item<double>(), 0.99 * largest);
  EXPECT_NEAR(qkv.var().item<double>(), largest * largest / 3, 0.05 * largest * largest / 3);
  // The patch convolution counts all its inputs: 4 channels of 2 x 2.
  EXPECT_NEAR(tensors.at("x_embedder.proj.weight").abs().max().item<double>(), bound(16, 64),
              0.01 * bound(16, 64));
  EXPECT_EQ(tensors.at("blocks.0.attn.qkv.bias").abs().max().item<double>(), 0);
}

TEST(DitInit, EmbeddingsAreSmallNormals) {
  const auto tensors = tiny(0);
  for (const auto* name : {"y_embedder.embedding_table.weight", "t_embedder.mlp.0.weight",
                           "t_embedder.mlp.2.weight"}) {
    EXPECT_NEAR(tensors.at(name).std().item<double>(), 0.02, 0.003) << name;
  }
}

// adaLN-Zero: every block starts as the identity, and the prediction as zero.
TEST(DitInit, TheFreshModelPredictsZero) {
  const auto config = test::tiny_config();
  const auto model = DiT::around(config, pack_dit_weights(config, StoredWeights(tiny(3))));
  ComputeAllRunner runner;
  const auto output =
      model->forward(at::randn({2, 4, 8, 8}), at::full({2}, 10), at::zeros({2}, at::kLong), runner);
  EXPECT_EQ(output.abs().max().item<float>(), 0);
}

TEST(DitInit, PositionsAreThePublishedOnes) {
  test::expect_equal(tiny(0).at("pos_embed"), test::tiny_checkpoint().tensors.at("pos_embed"),
                     "pos_embed");
}

TEST(DitInit, TheSeedDecides) {
  const auto name = "blocks.1.mlp.fc1.weight";
  test::expect_equal(tiny(4).at(name), tiny(4).at(name), name);
  EXPECT_FALSE(at::equal(tiny(4).at(name), tiny(5).at(name)));
  EXPECT_FALSE(at::equal(tiny(4).at(name), tiny(4).at("blocks.0.mlp.fc1.weight")));
}

}  // namespace
}  // namespace l2c
