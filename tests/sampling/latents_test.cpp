#include "l2c/sampling/latents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "l2c/core/error.h"
#include "l2c/io/safetensors.h"
#include "support/golden.h"

namespace l2c {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Latents, SurviveTheirFile) {
  const auto path = test::scratch() / "latents.safetensors";
  Latents latents{.shape = {1, 2, 1, 2}, .values = {1, -2, 3.5, 4}};
  save_latents(path, latents);
  const auto back = load_latents(path);
  EXPECT_EQ(back.shape, latents.shape);
  EXPECT_EQ(back.values, latents.values);
  EXPECT_EQ(io::SafetensorsFile::open(path).names(), std::vector<std::string>{"latents"});
}

TEST(Latents, OfAFileWithSeveralTensorsNeedAName) {
  const auto path = test::scratch() / "two.safetensors";
  io::write_safetensors(path, {{"a", at::zeros({1, 1, 2, 2})}, {"b", at::ones({1, 1, 2, 2})}});
  EXPECT_THAT([&] { (void)load_latents(path); },
              ThrowsMessage<InputError>(AllOf(HasSubstr("2 tensors"), HasSubstr("a, b"))));
  EXPECT_EQ(load_latents(path, "b").values, std::vector<float>({1, 1, 1, 1}));
  EXPECT_THAT([&] { (void)load_latents(path, "c"); }, ThrowsMessage<InputError>(HasSubstr("c")));
}

TEST(Latents, OfAnotherShapeOrTypeAreRefused) {
  const auto path = test::scratch() / "bad.safetensors";
  io::write_safetensors(path,
                        {{"flat", at::zeros({4})}, {"whole", at::zeros({1, 1, 1, 1}, at::kLong)}});
  EXPECT_THAT([&] { (void)load_latents(path, "flat"); },
              ThrowsMessage<InputError>(AllOf(HasSubstr("[4]"), HasSubstr("[images, channels"))));
  EXPECT_THAT([&] { (void)load_latents(path, "whole"); },
              ThrowsMessage<InputError>(HasSubstr("floating-point")));
}

TEST(Latents, WhoseShapeAndValuesDisagreeAreNotWritten) {
  const auto path = test::scratch() / "none.safetensors";
  EXPECT_THAT([&] { save_latents(path, {.shape = {1, 1, 2, 2}, .values = {1}}); },
              ThrowsMessage<InputError>(HasSubstr("1 values")));
  constexpr std::int64_t half = std::int64_t{1} << 32;  // their product is 0 in 64 bits
  EXPECT_THAT([&] { save_latents(path, {.shape = {half, half, 1, 1}, .values = {}}); },
              ThrowsMessage<InputError>(HasSubstr("0 values")));
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace l2c
