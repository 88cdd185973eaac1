#include "l2c/models/dit_infer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "models_support.h"

namespace l2c {
namespace {

// Only the tensors that the shapes are read off, of a preset's sizes, without memory behind them.
io::TensorMap shapes_of(const DiTConfig& config) {
  const auto shape = [](std::vector<std::int64_t> sizes) { return at::zeros({1}).expand(sizes); };
  const std::int64_t width = config.hidden_size;
  const std::int64_t patch = config.patch_size;
  io::TensorMap tensors;
  tensors["pos_embed"] = shape({1, config.tokens(), width});
  tensors["x_embedder.proj.weight"] = shape({width, config.in_channels, patch, patch});
  tensors["y_embedder.embedding_table.weight"] = shape({config.num_classes + 1, width});
  tensors["final_layer.linear.weight"] = shape({patch * patch * config.out_channels(), width});
  for (int i = 0; i < config.depth; ++i) {
    tensors["blocks." + std::to_string(i) + ".mlp.fc1.weight"] = shape({config.mlp_width(), width});
  }
  return tensors;
}

TEST(InferDit, EveryPreset) {
  for (const auto& name : dit_preset_names()) {
    const auto found = infer_dit_config(shapes_of(dit_preset(name)));
    ASSERT_TRUE(found.has_value()) << name;
    EXPECT_EQ(dit_name(*found), name);
  }
}

TEST(InferDit, TinyModel) {
  const auto found = infer_dit_config(test::tiny_checkpoint().tensors);
  ASSERT_TRUE(found.has_value());
  DiTConfig expected = test::tiny_config();
  expected.num_heads = 16;  // leaves no trace in the shapes
  EXPECT_EQ(*found, expected);
}

TEST(InferDit, WithoutLearnedVariance) {
  DiTConfig config = test::tiny_config();
  config.learn_sigma = false;
  const auto found = infer_dit_config(shapes_of(config));
  ASSERT_TRUE(found.has_value());
  EXPECT_FALSE(found->learn_sigma);
}

TEST(InferDit, NotADit) {
  EXPECT_FALSE(infer_dit_config({}).has_value());
  EXPECT_FALSE(infer_dit_config({{"blocks.0.attn.qkv.weight", at::zeros({3, 1})}}).has_value());
  auto odd = shapes_of(test::tiny_config());
  odd["x_embedder.proj.weight"] = at::zeros({64});
  EXPECT_FALSE(infer_dit_config(odd).has_value());
  odd = shapes_of(test::tiny_config());
  odd.erase("blocks.0.mlp.fc1.weight");
  EXPECT_FALSE(infer_dit_config(odd).has_value());
}

TEST(InferDit, OddBlockNamesAreNotCounted) {
  auto tensors = shapes_of(test::tiny_config());
  tensors["blocks.x.weight"] = at::zeros({1});
  tensors["blocks.-3.weight"] = at::zeros({1});
  tensors["blocks.7"] = at::zeros({1});
  tensors["blocks.99999999999999999999.weight"] = at::zeros({1});
  const auto found = infer_dit_config(tensors);
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
