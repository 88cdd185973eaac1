// The VAE's decoder. Golden: shared/reference/vae_tiny (AutoencoderKL of Diffusers 0.42.1, seed 3).
#include "l2c/models/autoencoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "l2c/core/error.h"
#include "support/diffusers_folder.h"
#include "support/golden.h"
#include "support/idx_files.h"
#include "support/vae.h"

namespace l2c {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::ThrowsMessage;

constexpr double scaling_factor = 0.18215;

fs::path tiny_folder() {
  auto folder = test::scratch() / "vae";
  test::write_tiny_vae(folder);
  return folder;
}

void expect_golden(const Autoencoder& vae, const std::string& name) {
  const auto golden = io::SafetensorsFile::open(test::data("vae_tiny/decoder.safetensors"));
  const auto latent = golden.tensor("latent").to(test::device());  // divided by the factor already
  test::expect_close(vae.decode(latent * scaling_factor),
                     golden.tensor("decoded").to(test::device()), 1e-4, name);
}

TEST(VaeTiny, DecodesAsDiffusers) {
  expect_golden(*Autoencoder::load(tiny_folder(), test::device()), "vae_tiny: decoded");
}

TEST(VaeTiny, SharedReferenceIsWhatIsTestedHere) {
  const auto folder = test::shared_reference("vae_tiny/diffusers");
  if (folder.empty()) GTEST_SKIP() << "shared/reference is not here";
  expect_golden(*Autoencoder::load(folder, test::device()), "vae_tiny/diffusers: decoded");
}

TEST(Vae, NamesOfOlderFiles) {
  const auto folder = tiny_folder();
  io::TensorMap tensors;
  for (const auto& [name, tensor] : test::tiny_vae_weights()) {
    std::string old = name;
    for (const auto& [now, then] :
         {std::pair{"to_q", "query"}, std::pair{"to_k", "key"}, std::pair{"to_v", "value"},
          std::pair{"to_out.0", "proj_attn"}}) {
      const auto at = old.find(now);
      if (at != std::string::npos) old.replace(at, std::string(now).size(), then);
    }
    tensors[old] = tensor;
  }
  io::write_safetensors(folder / "diffusion_pytorch_model.safetensors", tensors);
  expect_golden(*Autoencoder::load(folder, test::device()), "vae_tiny: older names");
}

TEST(Vae, SizesOtherThanSquareAndHalfPrecision) {
  const auto folder = tiny_folder();
  auto tensors = test::tiny_vae_weights();
  for (auto& [name, tensor] : tensors) tensor = tensor.to(at::kHalf);
  io::write_safetensors(folder / "diffusion_pytorch_model.safetensors", tensors);
  const auto vae = Autoencoder::load(folder);
  const auto image = vae->decode(at::zeros({3, 4, 5, 7}, at::kBFloat16));
  EXPECT_EQ(image.sizes(), (at::IntArrayRef{3, 3, 10, 14}));
  EXPECT_EQ(image.scalar_type(), at::kFloat);
  EXPECT_EQ(vae->config().scale(), 2);
}

TEST(Vae, LatentsThatDoNotFit) {
  const auto vae = Autoencoder::load(tiny_folder());
  EXPECT_THAT([&] { (void)vae->decode(at::zeros({1, 3, 8, 8})); },
              ThrowsMessage<InputError>(
                  AllOf(HasSubstr("latents [N, 4, h, w]"), HasSubstr("[1, 3, 8, 8]"))));
  EXPECT_THROW((void)vae->decode(at::zeros({4, 8, 8})), InputError);
  EXPECT_THROW((void)vae->decode(at::zeros({1, 4, 8, 8}, at::kLong)), InputError);
}

void expect_refused(const fs::path& folder, const testing::Matcher<std::string>& message) {
  EXPECT_THAT([&] { (void)Autoencoder::load(folder); }, ThrowsMessage<InputError>(message));
}

TEST(Vae, WeightsThatDoNotFitAreListed) {
  const auto folder = tiny_folder();
  auto tensors = test::tiny_vae_weights();
  tensors.erase("decoder.conv_out.bias");
  tensors["decoder.more"] = at::zeros({2});
  tensors["post_quant_conv.bias"] = at::zeros({5});
  io::write_safetensors(folder / "diffusion_pytorch_model.safetensors", tensors);
  expect_refused(folder, AllOf(HasSubstr("missing (1): decoder.conv_out.bias [3]"),
                               HasSubstr("unexpected (1): decoder.more [2]"),
                               HasSubstr("(1): post_quant_conv.bias [5] instead of [4]"),
                               HasSubstr("diffusion_pytorch_model.safetensors"),
                               Not(HasSubstr("encoder.00"))));
}

TEST(Vae, MissingFiles) {
  const auto folder = tiny_folder();
  fs::remove(folder / "diffusion_pytorch_model.safetensors");
  expect_refused(folder, HasSubstr("holds no weights"));
  fs::remove(folder / "config.json");
  expect_refused(folder, HasSubstr("config.json"));
}

TEST(VaeConfig, WhatIsNotSupportedIsNamed) {
  const auto refused = [](const std::string& what, const std::string& with, const char* message) {
    const auto folder = tiny_folder();
    test::replace_in(folder / "config.json", what, with);
    expect_refused(folder, AllOf(HasSubstr("config.json: "), HasSubstr(message)));
  };
  refused("AutoencoderKL", "VQModel", "_class_name is \"VQModel\", expected \"AutoencoderKL\"");
  refused("\"silu\"", "\"relu\"", "act_fn is \"relu\"; supported is silu");
  refused("UpDecoderBlock2D", "AttnUpDecoderBlock2D", "up_block_types is \"AttnUpDecoderBlock2D\"");
  refused("\"shift_factor\": null", "\"shift_factor\": 0.1", "shift_factor is 0.1");
  refused("\"latents_mean\": null", "\"latents_mean\": [0.1]", "latents_mean is a list");
  refused("\"block_out_channels\"", "\"channels\"", "block_out_channels is null");
  refused("64\n", "-64\n",
          "block_out_channels is a list; supported is a list of 1 to 6 whole numbers");
  refused("64\n", "60\n", "60 of block_out_channels is no multiple of norm_num_groups 8");
  refused("\"latent_channels\": 4", "\"latent_channels\": 0", "latent_channels is 0");
  refused("\"layers_per_block\": 1", "\"layers_per_block\": 1000000",
          "layers_per_block is 1000000");
  refused("\"scaling_factor\": 0.18215", "\"scaling_factor\": 0", "scaling_factor is 0");
  refused("\"out_channels\": 3", "\"out_channels\": 12", "out_channels is 12");
  refused("{", "[", "not JSON");
}

}  // namespace
}  // namespace l2c
