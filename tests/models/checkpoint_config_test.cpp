#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "l2c/core/error.h"
#include "models_support.h"

namespace l2c {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(ResolveDitConfig, TheFilesOwnMetadata) {
  EXPECT_EQ(resolve_dit_config("", test::tiny_checkpoint()), test::tiny_config());
}

TEST(ResolveDitConfig, AnArchitectureThatAgrees) {
  const auto arch = test::data("dit_tiny/config.json").string();
  EXPECT_EQ(resolve_dit_config(arch, test::tiny_checkpoint()), test::tiny_config());
}

TEST(ResolveDitConfig, AnArchitectureForAFileThatSaysNothing) {
  auto checkpoint = test::tiny_checkpoint();
  checkpoint.metadata.clear();
  EXPECT_EQ(resolve_dit_config("DiT-B/4", checkpoint), dit_preset("DiT-B/4"));
}

TEST(ResolveDitConfig, DisagreementNamesTheFields) {
  EXPECT_THAT(
      [] { resolve_dit_config("DiT-S/2", test::tiny_checkpoint()); },
      ThrowsMessage<InputError>(
          AllOf(HasSubstr("weights.safetensors is not DiT-S/2"), HasSubstr("depth is 12 and 4"),
                HasSubstr("hidden_size is 384 and 64"), HasSubstr("num_classes is 1000 and 10"))));
}

TEST(ResolveDitConfig, NothingToGoByListsThePresets) {
  auto checkpoint = test::tiny_checkpoint();
  checkpoint.metadata.clear();
  EXPECT_THAT([&] { resolve_dit_config("", checkpoint); },
              ThrowsMessage<InputError>(
                  AllOf(HasSubstr("weights.safetensors"), HasSubstr("DiT-XL/2, DiT-XL/4"))));
}

TEST(ResolveDitConfig, BadMetadata) {
  auto checkpoint = test::tiny_checkpoint();
  checkpoint.metadata["config"] = R"({"depth": -1})";
  EXPECT_THAT(
      [&] { resolve_dit_config("", checkpoint); },
      ThrowsMessage<InputError>(AllOf(HasSubstr("weights.safetensors"), HasSubstr("depth is -1"))));
}

}  // namespace
}  // namespace l2c
