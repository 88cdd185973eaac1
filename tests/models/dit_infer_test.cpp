#include "l2c/models/dit_infer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "models_support.h"

namespace l2c {
namespace {

// Only the shapes that are looked at.
ShapeMap telling_shapes(const DiTConfig& config) {
  const std::int64_t width = config.hidden_size;
  const std::int64_t patch = config.patch_size;
  ShapeMap shapes;
  shapes["pos_embed"] = {1, config.tokens(), width};
  shapes["x_embedder.proj.weight"] = {width, config.in_channels, patch, patch};
  shapes["y_embedder.embedding_table.weight"] = {config.num_classes + 1, width};
  shapes["final_layer.linear.weight"] = {patch * patch * config.out_channels(), width};
  for (int i = 0; i < config.depth; ++i) {
    shapes["blocks." + std::to_string(i) + ".mlp.fc1.weight"] = {config.mlp_width(), width};
  }
  return shapes;
}

TEST(InferDit, EveryPreset) {
  for (const auto& name : dit_preset_names()) {
    const auto found = infer_dit_config(telling_shapes(dit_preset(name)));
    ASSERT_TRUE(found.has_value()) << name;
    EXPECT_EQ(dit_name(*found), name);
  }
}

TEST(InferDit, TinyModel) {
  const auto found = infer_dit_config(shapes_of(test::tiny_checkpoint().tensors));
  ASSERT_TRUE(found.has_value());
  DiTConfig expected = test::tiny_config();
  expected.num_heads = 16;  // leaves no trace in the shapes
  EXPECT_EQ(*found, expected);
}

TEST(InferDit, WithoutLearnedVariance) {
  DiTConfig config = test::tiny_config();
  config.learn_sigma = false;
  const auto found = infer_dit_config(telling_shapes(config));
  ASSERT_TRUE(found.has_value());
  EXPECT_FALSE(found->learn_sigma);
}

TEST(InferDit, NotADit) {
  EXPECT_FALSE(infer_dit_config({}).has_value());
  EXPECT_FALSE(infer_dit_config({{"blocks.0.attn.qkv.weight", {3, 1}}}).has_value());
  auto odd = telling_shapes(test::tiny_config());
  odd["x_embedder.proj.weight"] = {64};
  EXPECT_FALSE(infer_dit_config(odd).has_value());
  odd = telling_shapes(test::tiny_config());
  odd.erase("blocks.0.mlp.fc1.weight");
  EXPECT_FALSE(infer_dit_config(odd).has_value());
}

TEST(InferDit, OddBlockNamesAreNotCounted) {
  auto shapes = telling_shapes(test::tiny_config());
  shapes["blocks.x.weight"] = {1};
  shapes["blocks.-3.weight"] = {1};
  shapes["blocks.7"] = {1};
  shapes["blocks.99999999999999999999.weight"] = {1};
  const auto found = infer_dit_config(shapes);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->depth, 4);
}

TEST(DescribeDit, NamesAPreset) {
  EXPECT_EQ(describe_dit(dit_preset("DiT-S/2")),
            "DiT-S/2 (12 blocks of width 384, patch 2, input 4 x 32 x 32, 1000 classes)");
  EXPECT_EQ(describe_dit(test::tiny_config()),
            "a DiT with 4 blocks of width 64, patch 2, input 4 x 8 x 8, 10 classes");
}

}  // namespace
}  // namespace l2c
