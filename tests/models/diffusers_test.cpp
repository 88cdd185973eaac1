// Models as Diffusers stores them. Golden: shared/reference/dit_tiny/diffusers, which
// scripts/make_reference.py made with Diffusers 0.42.1 from the weights of dit_tiny.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "diffusers.h"
#include "l2c/core/error.h"
#include "l2c/models/dit_source.h"
#include "models_support.h"
#include "support/diffusers_folder.h"
#include "support/idx_files.h"
#include "support/pickle_programs.h"

namespace l2c {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::ThrowsMessage;

std::shared_ptr<const DiT> load(const fs::path& path, const std::string& arch = "",
                                std::optional<at::ScalarType> products = {}) {
  const DiTSource source = open_dit(path, arch);
  return DiT::load(source.config, *source.weights, test::device(), products);
}

at::Tensor output_of(const DiT& dit) {
  const auto in =
      test::input_of(io::SafetensorsFile::open(test::data("dit_tiny/forward.safetensors")));
  const c10::InferenceMode inference;
  ComputeAllRunner runner;
  return dit.forward(in.x, in.t, in.y, runner);
}

void expect_the_official_model(const DiT& dit, const std::string& what) {
  const auto official = test::tiny_model();
  EXPECT_EQ(dit.config(), official->config()) << what;
  EXPECT_EQ(dit.info().fingerprint, official->info().fingerprint) << what;
  test::expect_equal(output_of(dit), output_of(*official), what);
}

void expect_refused(const fs::path& path, const testing::Matcher<std::string>& message,
                    const std::string& arch = "") {
  EXPECT_THAT([&] { open_dit(path, arch); }, ThrowsMessage<InputError>(message));
}

TEST(DiffusersDitTiny, FolderTransformerAndFileAreTheOfficialModelBitForBit) {
  const auto folder = test::data("diffusers");
  expect_the_official_model(*load(folder), "the pipeline's folder");
  expect_the_official_model(*load(folder / "transformer"), "the transformer's folder");
  expect_the_official_model(*load(test::transformer_weights(folder)), "the file");
}

TEST(DiffusersDitTiny, TheOutputIsTheOfficialOne) {
  const auto golden = io::SafetensorsFile::open(test::data("dit_tiny/forward.safetensors"));
  test::expect_close(output_of(*load(test::data("diffusers"))),
                     golden.tensor("output").to(test::device()), 1e-5,
                     "dit_tiny/diffusers: official output");
}

TEST(DiffusersDitTiny, SharedReferenceIsWhatIsTestedHere) {
  const auto file =
      test::shared_reference("dit_tiny/diffusers/diffusion_pytorch_model.safetensors");
  if (file.empty()) GTEST_SKIP() << "shared/reference is not here";
  expect_the_official_model(*load(file), "shared/reference/dit_tiny/diffusers");
}

TEST(Diffusers, WeightsOfTorchSave) {
  const auto folder = test::diffusers_folder();
  const fs::path whole = test::transformer_weights(folder);
  const auto tensors = io::SafetensorsFile::open(whole).tensors();
  const fs::path bin = fs::path(whole).replace_extension(".bin");
  for (const bool zip : {true, false}) {
    test::write_file(bin, zip ? test::make_torch_zip(tensors) : test::make_legacy(tensors));
    EXPECT_EQ(open_dit(folder).format, "safetensors") << "comes first where both are there";
    const fs::path aside = whole.string() + ".aside";
    fs::rename(whole, aside);
    EXPECT_EQ(open_dit(folder).format, zip ? "torch zip" : "torch (before 1.6)");
    expect_the_official_model(*load(folder), "a folder with .bin");
    expect_the_official_model(*load(bin), "the .bin");
    fs::rename(aside, whole);
  }
  auto cut = test::make_torch_zip(tensors);
  cut.resize(cut.size() / 2);
  test::write_file(bin, cut);
  fs::remove(whole);
  expect_refused(folder, HasSubstr(bin.string()));
}

TEST(Diffusers, Shards) {
  for (const int shards : {1, 3, 7}) {
    const auto folder = test::diffusers_folder();
    const auto index = test::split_weights(folder, shards);
    expect_the_official_model(*load(folder), fmt::format("{} shards", shards));
    expect_the_official_model(*load(index), fmt::format("the index of {} shards", shards));
  }
}

TEST(Diffusers, OlderFilesAreCalledTransformer2DModel) {
  const auto folder = test::diffusers_folder();
  test::replace_in(folder / "transformer/config.json", "DiTTransformer2DModel",
                   "Transformer2DModel");
  expect_the_official_model(*load(folder), "Transformer2DModel");
}

// Prepared weights are packed from the joined q, k, v; the buffer for them is reused.
TEST(Diffusers, PreparedForSpeed) {
  const auto folder = test::data("diffusers");
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    const auto official =
        DiT::load(test::tiny_config(), test::tiny_checkpoint(), test::device(), type);
    test::expect_equal(output_of(*load(folder, "", type)), output_of(*official),
                       c10::toString(type));
  }
}

TEST(Diffusers, HalfPrecisionAndMixedTypes) {
  const auto folder = test::diffusers_folder();
  test::change_weights(folder, [](io::TensorMap& tensors) {
    for (auto& [name, tensor] : tensors) tensor = tensor.to(at::kHalf);
    auto& key = tensors.at("transformer_blocks.2.attn1.to_k.weight");
    key = key.to(at::kBFloat16);
  });
  const auto source = open_dit(folder);
  const auto stored = io::SafetensorsFile::open(test::transformer_weights(folder));
  const auto part = [&](const char* name) {
    return stored.tensor(fmt::format("transformer_blocks.2.attn1.{}.weight", name)).to(at::kFloat);
  };
  EXPECT_EQ(source.weights->dtype("blocks.2.attn.qkv.weight"), at::kFloat);
  EXPECT_EQ(source.weights->dtype("blocks.1.attn.qkv.weight"), at::kHalf);
  test::expect_equal(source.weights->tensor("blocks.2.attn.qkv.weight"),
                     at::cat({part("to_q"), part("to_k"), part("to_v")}), "mixed qkv");
  EXPECT_EQ(output_of(*load(folder)).size(0), 4);
}

// LibTorch has no common type for float8 and another.
TEST(Diffusers, Float8BesideOtherTypes) {
  const auto folder = test::diffusers_folder();
  test::change_weights(folder, [](io::TensorMap& tensors) {
    const auto change = [&](int block, const char* part, at::ScalarType type) {
      auto& tensor = tensors.at(fmt::format("transformer_blocks.{}.attn1.{}.weight", block, part));
      tensor = tensor.to(type);
    };
    change(1, "to_q", at::kFloat8_e4m3fn);
    change(2, "to_q", at::kFloat8_e4m3fn);
    change(2, "to_k", at::kFloat8_e5m2);
    change(2, "to_v", at::kHalf);
    change(3, "to_v", at::kFloat8_e5m2);
    change(3, "to_k", at::kDouble);
  });
  const auto source = open_dit(folder);
  const auto stored = io::SafetensorsFile::open(test::transformer_weights(folder));
  for (const int block : {1, 2, 3}) {
    const at::ScalarType type = block == 3 ? at::kDouble : at::kFloat;
    const auto part = [&](const char* name) {
      return stored.tensor(fmt::format("transformer_blocks.{}.attn1.{}.weight", block, name))
          .to(type);
    };
    const std::string name = fmt::format("blocks.{}.attn.qkv.weight", block);
    EXPECT_EQ(source.weights->dtype(name), type) << name;
    test::expect_equal(source.weights->tensor(name),
                       at::cat({part("to_q"), part("to_k"), part("to_v")}), name);
  }
  EXPECT_EQ(output_of(*load(folder)).size(0), 4);
}

TEST(Diffusers, WhatLiesBesideTheTransformer) {
  const auto folder = test::data("diffusers");
  const auto source = open_dit(folder);
  EXPECT_TRUE(source.from_diffusers);
  EXPECT_EQ(source.class_names.label("golden retriever"), 4);
  EXPECT_EQ(source.class_names.label("Tinca tinca"), 0);
  EXPECT_EQ(source.scheduler, folder / "scheduler/scheduler_config.json");
  EXPECT_TRUE(source.vae.empty());
  const auto alone = open_dit(folder / "transformer");
  EXPECT_TRUE(alone.class_names.empty());
  EXPECT_TRUE(alone.scheduler.empty());
  EXPECT_FALSE(open_dit(test::data("dit_tiny/weights.safetensors")).from_diffusers);
}

TEST(Diffusers, AnArchitectureMustAgree) {
  const auto config = test::data("dit_tiny/config.json").string();
  expect_the_official_model(*load(test::data("diffusers"), config), "with --arch");
  expect_refused(test::data("diffusers"),
                 AllOf(HasSubstr("is not DiT-S/2"), HasSubstr("depth is 12 and 4"),
                       HasSubstr("transformer/config.json")),
                 "DiT-S/2");
}

TEST(Diffusers, AFileWithoutItsConfiguration) {
  const auto file = test::scratch() / "diffusion_pytorch_model.safetensors";
  fs::copy_file(test::transformer_weights(test::data("diffusers")), file);
  expect_refused(file, AllOf(HasSubstr(file.string()), HasSubstr("without its config.json"),
                             HasSubstr("DiT-XL/2")));
  const auto config = test::data("dit_tiny/config.json").string();
  expect_the_official_model(*load(file, config), "a file with --arch");
}

TEST(DiffusersEmbedders, BlocksThatDifferAreNamed) {
  const auto folder = test::diffusers_folder();
  test::change_weights(folder, [](io::TensorMap& tensors) {
    tensors.at("transformer_blocks.1.norm1.emb.timestep_embedder.linear_2.bias")[3] += 1e-7F;
    tensors.at("transformer_blocks.3.norm1.emb.class_embedder.embedding_table.weight")[10][0] = 1;
  });
  expect_refused(folder,
                 AllOf(HasSubstr(test::transformer_weights(folder).string()),
                       HasSubstr("embedder of blocks 1, 3 is not that of block 0"),
                       HasSubstr("transformer_blocks.1.norm1.emb.timestep_embedder.linear_2.bias"),
                       HasSubstr("the official DiT has one for all blocks")));
}

TEST(DiffusersEmbedders, OneBlockThatDiffers) {
  const auto folder = test::diffusers_folder();
  test::change_weights(folder, [](io::TensorMap& tensors) {
    tensors.at("transformer_blocks.0.norm1.emb.timestep_embedder.linear_1.weight")[0][0] = 7;
  });
  expect_refused(folder, HasSubstr("embedder of blocks 1, 2, 3 is not that of block 0"));
}

TEST(DiffusersWeightsFile, WhatIsWrongIsListedByDiffusersNames) {
  const auto folder = test::diffusers_folder();
  test::change_weights(folder, [](io::TensorMap& tensors) {
    tensors.erase("transformer_blocks.2.attn1.to_k.bias");
    tensors["transformer_blocks.0.attn2.to_q.weight"] = at::zeros({64, 64});
    tensors["proj_out_2.bias"] = at::zeros({16});
    tensors["proj_out_1.bias"] = at::zeros({128}, at::kLong);
  });
  expect_refused(folder,
                 AllOf(HasSubstr(test::transformer_weights(folder).string()),
                       HasSubstr("missing (1): transformer_blocks.2.attn1.to_k.bias [64]"),
                       HasSubstr("unexpected (1): transformer_blocks.0.attn2.to_q.weight [64, 64]"),
                       HasSubstr("of another shape (1): proj_out_2.bias [16] instead of [32]"),
                       HasSubstr("not floating-point (1): proj_out_1.bias (Long)"),
                       HasSubstr("use the config.json that belongs to the file")));
}

TEST(DiffusersConfig, WhatTheOfficialDiTDoesNotHave) {
  const auto refused = [](const std::string& what, const std::string& with,
                          const testing::Matcher<std::string>& message) {
    const auto folder = test::diffusers_folder();
    test::replace_in(folder / "transformer/config.json", what, with);
    expect_refused(folder, AllOf(HasSubstr("transformer/config.json: "), message));
  };
  refused("ada_norm_zero", "layer_norm",
          HasSubstr("norm_type is layer_norm; a DiT has ada_norm_zero"));
  refused("gelu-approximate", "geglu",
          HasSubstr("activation_fn is geglu; a DiT has gelu-approximate"));
  refused("\"attention_bias\": true", "\"attention_bias\": false",
          HasSubstr("attention_bias is false; a DiT has true"));
  refused("\"norm_elementwise_affine\": false", "\"norm_elementwise_affine\": true",
          HasSubstr("norm_elementwise_affine is true; a DiT has false"));
  refused("\"dropout\"", "\"num_vector_embeds\": 8192, \"dropout\"",
          HasSubstr("num_vector_embeds is 8192; a DiT has null"));
  refused("\"dropout\"", "\"cross_attention_dim\": 768, \"dropout\"",
          HasSubstr("cross_attention_dim is 768; a DiT has null"));
  refused("DiTTransformer2DModel", "UNet2DModel",
          AllOf(HasSubstr("_class_name is \"UNet2DModel\""), HasSubstr("DiTTransformer2DModel")));
  refused("\"out_channels\": 8", "\"out_channels\": 6",
          HasSubstr("out_channels is 6 for in_channels 4; a DiT has 4 or 8"));
  refused("\"num_layers\": 4,", "", HasSubstr("num_layers is missing"));
  refused("\"num_layers\": 4", "\"num_layers\": \"4\"", HasSubstr("num_layers must be an integer"));
  refused("\"num_layers\": 4", "\"num_layers\": -4", HasSubstr("depth is -4"));
  refused("\"attention_head_dim\": 16", "\"attention_head_dim\": 2000000000",
          HasSubstr("width 2000000000 (attention_head_dim)"));
  refused("{", "", HasSubstr("not JSON"));
}

// Copying or printing what is nested calls itself once a level: very deep nesting is not parsed,
// other nesting not printed.
TEST(DiffusersConfig, DeepNestingIsRefusedNotFollowed) {
  constexpr std::size_t depth = 200000;
  const std::string deep = std::string(depth, '[') + std::string(depth, ']');
  for (const std::string field : {"num_layers", "num_vector_embeds", "cross_attention_dim"}) {
    const auto folder = test::diffusers_folder();
    test::replace_in(folder / "transformer/config.json", "\"dropout\"",
                     fmt::format("\"{}\": {}, \"dropout\"", field, deep));
    test::replace_in(folder / "transformer/config.json", "\"num_layers\": 4,", "");
    expect_refused(folder, HasSubstr("config.json: JSON nested more than 16 deep"));
    test::replace_in(folder / "transformer/config.json", deep, "[[1]]");
    expect_refused(folder, AllOf(HasSubstr(field), HasSubstr("a list")));
  }
  const auto folder = test::diffusers_folder();
  test::replace_in(folder / "model_index.json", "\"cardigan\"", deep);
  expect_refused(folder, HasSubstr("model_index.json: JSON nested more than 16 deep"));
  test::replace_in(folder / "model_index.json", deep, "[[1]]");
  expect_refused(folder, HasSubstr("id2label names class 9 by something that is no text"));
}

// Sizes that no tensor bounds, before memory is taken for them.
TEST(DiffusersConfig, SizesBeyondTheFile) {
  auto folder = test::diffusers_folder();
  test::replace_in(folder / "transformer/config.json", "\"num_layers\": 4",
                   "\"num_layers\": 1000000");
  expect_refused(folder, AllOf(HasSubstr(test::transformer_weights(folder).string()),
                               HasSubstr("82 tensors for the 1000000 blocks")));
  folder = test::diffusers_folder();
  test::replace_in(folder / "transformer/config.json", "\"sample_size\": 8",
                   "\"sample_size\": 32768");
  expect_refused(folder, AllOf(HasSubstr("transformer/config.json: sample_size 32768"),
                               HasSubstr("a grid of 16384 a side, but at most 256")));
}

TEST(DiffusersConfig, LargeFilesAreNotParsed) {
  const auto folder = test::diffusers_folder();
  test::write_file(folder / "transformer/config.json", std::string(std::size_t{3} << 19, ' '));
  expect_refused(folder, AllOf(HasSubstr("config.json"), HasSubstr("larger than 1 MB")));
}

TEST(DiffusersConfig, NullsOfPublishedFilesAreNothing) {
  const auto folder = test::diffusers_folder();
  test::replace_in(
      folder / "transformer/config.json", "\"dropout\"",
      "\"cross_attention_dim\": null, \"num_vector_embeds\": null, "
      "\"only_cross_attention\": false, \"use_linear_projection\": false, \"dropout\"");
  expect_the_official_model(*load(folder), "with nulls");
}

TEST(DiffusersFolder, OtherPipelinesAndFolders) {
  const auto folder = test::diffusers_folder();
  test::replace_in(folder / "model_index.json", "DiTPipeline", "StableDiffusionPipeline");
  expect_refused(folder, AllOf(HasSubstr("model_index.json"),
                               HasSubstr("_class_name is \"StableDiffusionPipeline\"")));
  const auto empty = test::scratch();
  expect_refused(empty, AllOf(HasSubstr(empty.string()),
                              HasSubstr("a folder without model_index.json or config.json")));
}

// Whoever unpacks a folder that somebody made may get pipes in it, which nobody writes into.
TEST(DiffusersFolder, PipesAreNotWaitedFor) {
  for (const char* name : {"model_index.json", "transformer/config.json",
                           "transformer/diffusion_pytorch_model.safetensors"}) {
    const auto folder = test::diffusers_folder();
    fs::remove(folder / name);
    ASSERT_EQ(mkfifo((folder / name).c_str(), 0600), 0);
    expect_refused(folder, AllOf(HasSubstr((folder / name).string()), HasSubstr("or a pipe")));
  }
  const auto folder = test::diffusers_folder();
  const auto index = test::split_weights(folder, 2);
  fs::remove(index);
  ASSERT_EQ(mkfifo(index.c_str(), 0600), 0);
  expect_refused(folder, AllOf(HasSubstr(index.string()), HasSubstr("or a pipe")));
}

TEST(DiffusersFolder, MissingParts) {
  auto folder = test::diffusers_folder();
  fs::remove(test::transformer_weights(folder));
  expect_refused(folder,
                 AllOf(HasSubstr((folder / "transformer").string()), HasSubstr("holds no weights"),
                       HasSubstr("expected diffusion_pytorch_model.safetensors, "
                                 ".safetensors.index.json or .bin")));
  folder = test::diffusers_folder();
  fs::remove(folder / "transformer/config.json");
  expect_refused(folder, HasSubstr("a folder without transformer/config.json"));
  folder = test::diffusers_folder();
  const auto index = test::split_weights(folder, 2);
  fs::remove(folder / "transformer/shard-1.safetensors");
  expect_refused(folder,
                 AllOf(HasSubstr("shard-1.safetensors' is missing"), HasSubstr(index.string())));
}

TEST(DiffusersFolder, NamesOfClasses) {
  const auto refused = [](const std::string& what, const std::string& with,
                          const testing::Matcher<std::string>& message) {
    const auto folder = test::diffusers_folder();
    test::replace_in(folder / "model_index.json", what, with);
    expect_refused(folder, AllOf(HasSubstr("model_index.json"), message));
  };
  refused("\"9\": \"cardigan\"", "\"10\": \"cardigan\"",
          HasSubstr("names class 10, but the transformer has the classes 0 to 9"));
  refused("\"9\"", "\"nine\"", HasSubstr("id2label has the key \"nine\""));
  refused("\"9\"", "\"-9\"", HasSubstr("id2label has the key \"-9\""));
  refused("\"cardigan\"", "9", HasSubstr("id2label names class 9 by something that is no text"));
  refused("\"id2label\": {", "\"id2label\": [], \"other\": {", HasSubstr("id2label must be"));
  const auto folder = test::diffusers_folder();
  test::replace_in(folder / "model_index.json", "id2label", "labels");
  EXPECT_TRUE(open_dit(folder).class_names.empty());
}

}  // namespace
}  // namespace l2c
