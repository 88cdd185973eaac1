#include "l2c/evaluation/torchscript_network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>

#include "l2c/core/error.h"
#include "l2c/evaluation/inception.h"
#include "l2c/io/safetensors.h"
#include "l2c/io/torch_checkpoint.h"
#include "support/golden.h"
#include "support/messages.h"

namespace l2c {
namespace {

using test::message_of;
using testing::AllOf;
using testing::HasSubstr;

// A program of this source, saved as torch.jit.save does.
std::filesystem::path program(const std::string& source) {
  const auto path = test::scratch() / "network.pt";
  torch::jit::Module module("network");
  module.define(source);
  module.save(path.string());
  return path;
}

std::filesystem::path forward(const std::string& result) {
  return program("def forward(self, x):\n  y = x.float()\n  return " + result + "\n");
}

at::Tensor pixels(std::int64_t count = 3) {
  const at::Generator generator = at::detail::createCPUGenerator(1);
  return at::randint(0, 256, {count, 3, 8, 8}, generator).to(at::kFloat) / 127.5 - 1;
}
at::Tensor bytes_of(const at::Tensor& images) { return ((images + 1) * 127.5).round(); }

TEST(TorchScriptNetwork, TakesATensorOfFeatures) {
  const auto path = forward("y.mean([2, 3])");
  ASSERT_TRUE(io::holds_torchscript(path));
  const TorchScriptNetwork network(path);
  const auto images = pixels();
  const auto found = network.extract(images);
  test::expect_close(found.features, bytes_of(images).mean({2, 3}), 1e-6, "torchscript features");
  EXPECT_FALSE(found.probabilities.defined());
  EXPECT_FALSE(found.spatial.defined());
  EXPECT_FALSE(network.knows_labels());
  EXPECT_THAT(network.description(), HasSubstr("network.pt"));
  EXPECT_EQ(network.fingerprint().size(), 32);
  EXPECT_NE(network.fingerprint(), TorchScriptNetwork(forward("y.amax([2, 3])")).fingerprint());
}

TEST(TorchScriptNetwork, SeesBytesInNCHW) {
  const TorchScriptNetwork network(
      program("def forward(self, x):\n"
              "  assert x.dtype == 0 and x.size(1) == 3 and x.size(2) == 8\n"
              "  return x.double().flatten(1)\n"));
  const auto images = pixels();
  test::expect_equal(network.extract(images).features, bytes_of(images).flatten(1), "bytes");
}

TEST(TorchScriptNetwork, TakesATuple) {
  const auto images = pixels();
  const auto mean = bytes_of(images).mean({2, 3});
  const auto all = TorchScriptNetwork(forward("y.mean([2, 3], True), torch.cat([y, y, y], 1), "
                                              "y.amax([2, 3])"))
                       .extract(images);
  test::expect_close(all.features, mean, 1e-6, "torchscript features");
  const auto seven = bytes_of(images).repeat({1, 3, 1, 1}).narrow(1, 0, 7);
  const auto places = seven.permute({0, 2, 3, 1}).flatten(1).contiguous();
  test::expect_equal(all.spatial, places, "the first 7 channels, place by place");
  test::expect_close(all.probabilities, bytes_of(images).amax({2, 3}).softmax(1), 1e-6,
                     "torchscript probabilities");
  const auto two = TorchScriptNetwork(forward("y.mean([2, 3]), y.amax([2, 3])")).extract(images);
  EXPECT_FALSE(two.spatial.defined());
  test::expect_equal(two.probabilities, all.probabilities, "a tuple of two");
}

TEST(TorchScriptNetwork, TakesADictionary) {
  const auto images = pixels();
  const auto logits =
      TorchScriptNetwork(forward("{'features': y.mean([2, 3]), 'logits': y.mean([2, 3]), "
                                 "'spatial': y}"))
          .extract(images);
  const auto softmax = TorchScriptNetwork(forward("{'features': y.mean([2, 3]), "
                                                  "'probabilities': y.mean([2, 3]).softmax(1)}"))
                           .extract(images);
  test::expect_equal(logits.spatial, bytes_of(images).permute({0, 2, 3, 1}).flatten(1).contiguous(),
                     "spatial");
  test::expect_close(logits.probabilities, softmax.probabilities, 1e-6, "probabilities");
}

TEST(TorchScriptNetwork, TakesNvidiasForm) {
  const auto path = program(
      "def forward(self, img, return_features: bool = False, use_fp16: bool = False, "
      "no_output_bias: bool = False):\n"
      "  y = img.float().mean([2, 3])\n"
      "  if return_features:\n"
      "    return y\n"
      "  z = y if no_output_bias else y + torch.arange(3)\n"
      "  return z.softmax(1)\n");
  const auto images = pixels();
  const auto found = TorchScriptNetwork(path).extract(images);
  const auto mean = bytes_of(images).mean({2, 3});
  test::expect_close(found.features, mean, 1e-6, "torchscript features");
  test::expect_close(found.probabilities, mean.softmax(1), 1e-6, "torchscript probabilities");
}

TEST(TorchScriptNetwork, WorksInBlocksAndTakesGrayAsThreeEqualChannels) {
  const TorchScriptNetwork network(forward("y.mean([2, 3])"));
  const auto gray = pixels(40).narrow(1, 0, 1);
  test::expect_close(network.extract(gray).features,
                     bytes_of(gray).mean({2, 3}).expand({40, 3}).contiguous(), 1e-6,
                     "torchscript features");
}

TEST(TorchScriptNetwork, IsWhatLoadInceptionOpens) {
  const auto path = forward("y.mean([2, 3])");
  EXPECT_EQ(load_inception(path)->fingerprint(), TorchScriptNetwork(path).fingerprint());
  EXPECT_THAT(
      message_of([&] { (void)load_inception(path, {.input = InceptionInput::tensorflow}); }),
      HasSubstr("prepares its images itself"));
}

std::string refusal(const std::filesystem::path& path) {
  return message_of([&] { (void)TorchScriptNetwork(path).extract(pixels()); });
}

TEST(TorchScriptNetwork, SaysWhatIsWrongWithAProgram) {
  EXPECT_THAT(refusal(forward("y")), AllOf(HasSubstr("network.pt"), HasSubstr("[3, 3, 8, 8]"),
                                           HasSubstr("expected [3, D]")));
  EXPECT_THAT(refusal(forward("x.flatten(1)")), HasSubstr("floating"));
  EXPECT_THAT(refusal(forward("[y]")), HasSubstr("tuple"));
  EXPECT_THAT(refusal(forward("{'pool': y}")), HasSubstr("without \"features\""));
  EXPECT_THAT(refusal(forward("y.mean([2, 3]), y.mean([2, 3]), y")), HasSubstr("another order"));
  EXPECT_THAT(refusal(forward("{'features': y.mean([2, 3]), 'spatial': y.mean([2, 3])}")),
              HasSubstr("spatial features of 3 images"));
  EXPECT_THAT(refusal(forward("y.view(7, 5)")),
              AllOf(HasSubstr("the program failed"), HasSubstr("network.pt")));
  EXPECT_THAT(refusal(program("def forward(self, x, y):\n  return x + y\n")),
              HasSubstr("needs 2 arguments"));
  EXPECT_THAT(refusal(program("def other(self, x):\n  return x\n")), HasSubstr("no forward"));
}

// 4 PiB: no address space has room for that.
TEST(TorchScriptNetwork, ALackOfMemoryIsNoMistakeOfTheProgram) {
  const TorchScriptNetwork network(forward("torch.zeros([1125899906842624]) + y.mean()"));
  EXPECT_THAT(
      message_of<RunError>([&] { (void)network.extract(pixels()); }),
      AllOf(HasSubstr("network.pt"), HasSubstr("out of memory for images Byte [3, 3, 8, 8]")));
}

TEST(TorchScriptNetwork, RefusesWhatIsNoProgram) {
  const auto path = test::scratch() / "weights.safetensors";
  io::write_safetensors(path, {{"a", at::ones({2})}});
  EXPECT_FALSE(io::holds_torchscript(path));
  EXPECT_THAT(refusal(path), AllOf(HasSubstr("weights.safetensors"), HasSubstr("no TorchScript")));
  EXPECT_FALSE(io::holds_torchscript(test::data("io/protocol3.pt")));
}

}  // namespace
}  // namespace l2c
