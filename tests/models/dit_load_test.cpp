#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "l2c/core/error.h"
#include "models_support.h"

namespace l2c {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::ThrowsMessage;

at::Tensor output_of(const DiT& dit) {
  const auto in =
      test::input_of(io::SafetensorsFile::open(test::data("dit_tiny/forward.safetensors")));
  const c10::InferenceMode inference;
  ComputeAllRunner runner;
  return dit.forward(in.x, in.t, in.y, runner);
}

std::shared_ptr<const DiT> load(const std::string& file, io::Weights weights = io::Weights::ema) {
  return DiT::load(test::tiny_config(), io::open_checkpoint(test::data(file), weights));
}

TEST(DitLoad, EveryFormatGivesTheSameModel) {
  const auto reference = test::tiny_model();
  const auto output = output_of(*reference);
  for (const char* file : {"dit_tiny/state_dict.pt", "dit_tiny/train_checkpoint.pt"}) {
    const auto dit = load(file);
    EXPECT_EQ(dit->info().fingerprint, reference->info().fingerprint) << file;
    test::expect_equal(output_of(*dit), output, file);
  }
}

TEST(DitLoad, ModelAndEmaOfATrainingCheckpointDiffer) {
  const auto ema = load("dit_tiny/train_checkpoint.pt");
  const auto model = load("dit_tiny/train_checkpoint.pt", io::Weights::model);
  EXPECT_NE(model->info().fingerprint, ema->info().fingerprint);
  EXPECT_GT(test::relative_error(output_of(*model), output_of(*ema)), 1e-3);
}

TEST(DitLoad, Info) {
  const auto dit = test::tiny_model();
  const DenoiserInfo& info = dit->info();
  EXPECT_EQ(info.architecture, "DiT (custom)");
  EXPECT_EQ(info.fingerprint.size(), 32U);
  EXPECT_EQ(info.in_channels, 4);
  EXPECT_EQ(info.out_channels, 8);
  EXPECT_EQ(info.input_size, 8);
  EXPECT_EQ(info.blocks, 4);
  EXPECT_EQ(info.tokens, 16);
  EXPECT_EQ(info.width, 64);
  EXPECT_EQ(info.num_classes, 10);
  EXPECT_EQ(info.null_label, 10);
  EXPECT_EQ(dit->cost().units.size(), 8U);
  EXPECT_EQ(dit->device(), at::kCPU);
}

TEST(DitLoad, WithoutLabelDropoutThereIsNoNullLabel) {
  auto checkpoint = test::tiny_checkpoint();
  auto config = test::tiny_config();
  config.class_dropout_prob = 0;
  auto& table = checkpoint.tensors.at("y_embedder.embedding_table.weight");
  table = table.narrow(0, 0, 10);
  const auto dit = DiT::load(config, checkpoint);
  EXPECT_EQ(dit->info().num_classes, 10);
  EXPECT_FALSE(dit->info().null_label.has_value());
}

TEST(DitLoad, KeepsNothingOfTheFile) {
  auto checkpoint = test::tiny_checkpoint();
  for (auto& [name, tensor] : checkpoint.tensors) tensor = tensor.clone();
  const auto dit = DiT::load(test::tiny_config(), checkpoint);
  const auto output = output_of(*dit);
  for (auto& [name, tensor] : checkpoint.tensors) tensor.zero_();
  test::expect_equal(output_of(*dit), output, "output after the checkpoint's tensors changed");
}

TEST(DitLoad, HalfPrecisionWeightsAreWidened) {
  auto half = test::tiny_checkpoint();
  for (auto& [name, tensor] : half.tensors) tensor = tensor.to(at::kBFloat16);
  auto widened = half;
  for (auto& [name, tensor] : widened.tensors) tensor = tensor.to(at::kFloat);
  const auto from_half = DiT::load(test::tiny_config(), half);
  const auto from_widened = DiT::load(test::tiny_config(), widened);
  EXPECT_EQ(from_half->info().fingerprint, from_widened->info().fingerprint);
  test::expect_equal(output_of(*from_half), output_of(*from_widened), "output");
}

TEST(DitLoad, LoadedInInferenceModeItStillServesTraining) {
  std::shared_ptr<const DiT> dit;
  {
    const c10::InferenceMode inference;
    dit = test::tiny_model();
  }
  const auto in =
      test::input_of(io::SafetensorsFile::open(test::data("dit_tiny/forward.safetensors")));
  const auto x = in.x.clone().requires_grad_();
  ComputeAllRunner runner;
  dit->forward(x, in.t, in.y, runner).square().sum().backward();
  EXPECT_GT(x.grad().abs().max().item<float>(), 0);
}

TEST(DitLoad, OneMessageListsAllThatIsWrong) {
  auto checkpoint = test::tiny_checkpoint();
  auto& tensors = checkpoint.tensors;
  tensors.erase("pos_embed");
  tensors.erase("blocks.2.attn.qkv.bias");
  tensors["extra.weight"] = at::zeros({2, 3});
  tensors["final_layer.linear.bias"] = at::zeros({16});
  tensors["t_embedder.mlp.0.bias"] = at::zeros({64}, at::kLong);
  EXPECT_THAT([&] { DiT::load(test::tiny_config(), checkpoint); },
              ThrowsMessage<InputError>(AllOf(
                  HasSubstr("weights.safetensors"),
                  HasSubstr("missing (2): blocks.2.attn.qkv.bias [192], pos_embed [1, 16, 64]"),
                  HasSubstr("unexpected (1): extra.weight [2, 3]"),
                  HasSubstr("of another shape (1): final_layer.linear.bias [16] instead of [32]"),
                  HasSubstr("not floating-point (1): t_embedder.mlp.0.bias (Long)"))));
}

TEST(DitLoad, ALongListIsCutShort) {
  auto checkpoint = test::tiny_checkpoint();
  checkpoint.tensors.clear();
  EXPECT_THAT([&] { DiT::load(test::tiny_config(), checkpoint); },
              ThrowsMessage<InputError>(
                  AllOf(HasSubstr("missing (52): "), HasSubstr(" and 40 more"),
                        HasSubstr("blocks.1.adaLN_modulation.1.weight [384, 64]"),
                        Not(HasSubstr("blocks.3.mlp.fc1.weight")),
                        HasSubstr("name the architecture that the file was made with"))));
}

TEST(DitLoad, WrongArchitectureSaysWhatTheFileLooksLike) {
  EXPECT_THAT([] { DiT::load(dit_preset("DiT-S/2"), test::tiny_checkpoint()); },
              ThrowsMessage<InputError>(
                  AllOf(HasSubstr("do not fit DiT-S/2 (12 blocks of width 384"),
                        HasSubstr("blocks.0.attn.proj.bias [64] instead of [384]"),
                        HasSubstr("looks like a DiT with 4 blocks of width 64, patch 2, input 4 x "
                                  "8 x 8, 10 classes: name that architecture"))));
}

TEST(DitLoad, IncompleteFileIsCalledSo) {
  auto checkpoint = test::tiny_checkpoint();
  checkpoint.tensors.erase("final_layer.linear.bias");
  EXPECT_THAT([&] { DiT::load(test::tiny_config(), checkpoint); },
              ThrowsMessage<InputError>(HasSubstr("incomplete")));
}

TEST(DitLoad, BadConfigurationIsRefused) {
  auto config = test::tiny_config();
  config.patch_size = 0;
  EXPECT_THAT([&] { DiT::load(config, test::tiny_checkpoint()); },
              ThrowsMessage<InputError>(HasSubstr("patch_size is 0")));
}

}  // namespace
}  // namespace l2c
