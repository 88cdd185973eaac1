// Golden numbers: pytorch-fid's network with weights by a rule, see
// tests/data/evaluation/make_inception.py.
#include "l2c/evaluation/inception.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inception_weights.h"
#include "l2c/core/error.h"
#include "support/byte_files.h"
#include "support/golden.h"
#include "support/messages.h"
#include "support/pickle_programs.h"

namespace l2c {
namespace {

using test::expect_close;
using test::message_of;
using testing::AllOf;
using testing::HasSubstr;

const io::TensorMap& weights() {
  static const io::TensorMap made = test::inception_weights();
  return made;
}

std::string device_name() { return test::device().str(); }

void expect_golden(const std::string& kind, const Inception& network, std::uint64_t stream,
                   std::int64_t count, std::int64_t size) {
  const auto golden = io::SafetensorsFile::open(test::data("evaluation/inception.safetensors"));
  const auto name = fmt::format("{}.{}", kind, size);
  const auto found = network.extract(test::inception_images(stream, count, size));
  expect_close(found.features, golden.tensor(name + ".pool"), 1e-4, name + ".pool");
  expect_close(found.spatial, golden.tensor(name + ".spatial"), 1e-4, name + ".spatial");
  expect_close(found.probabilities, golden.tensor(name + ".softmax"), 1e-4, name + ".softmax");
}

TEST(InceptionGolden, IsThatOfPytorchFid) {
  const Inception network(weights(), "test", {.device = device_name()});
  expect_golden("pytorch", network, 1000, 2, 40);
  expect_golden("pytorch", network, 1001, 1, 320);
}

TEST(InceptionGolden, PreparesImagesAsTensorFlowDoes) {
  const Inception network(weights(), "test",
                          {.input = InceptionInput::tensorflow, .device = device_name()});
  expect_golden("tensorflow", network, 1000, 2, 40);
  expect_golden("tensorflow", network, 1001, 1, 320);
}

TEST(Inception, TellsTheTwoPreparationsApart) {
  const Inception pytorch(weights(), "test");
  const Inception tensorflow(weights(), "test", {.input = InceptionInput::tensorflow});
  EXPECT_NE(pytorch.fingerprint(), tensorflow.fingerprint());
  EXPECT_FALSE(pytorch.knows_labels());
  EXPECT_THAT(tensorflow.description(), HasSubstr("tensorflow"));
  EXPECT_EQ(parse_inception_input("tensorflow"), InceptionInput::tensorflow);
  EXPECT_EQ(parse_inception_input("pytorch-fid"), InceptionInput::pytorch_fid);
  EXPECT_THAT(message_of([] { (void)parse_inception_input("adm"); }),
              AllOf(HasSubstr("'adm'"), HasSubstr("pytorch-fid or tensorflow")));
}

TEST(Inception, WorksInBlocksAndTakesGrayAsThreeEqualChannels) {
  const Inception network(weights(), "test");
  const auto gray = test::inception_images(7, 18, 16).narrow(1, 0, 1);  // more than one block
  const auto all = network.extract(gray);
  ASSERT_EQ(all.features.size(0), 18);
  EXPECT_EQ(all.spatial.size(1), 2023);
  const auto last = network.extract(gray.narrow(0, 17, 1).expand({1, 3, 16, 16}));
  EXPECT_LT(test::relative_error(all.features[17], last.features[0]), 1e-5);
  EXPECT_LT(test::relative_error(all.spatial[17], last.spatial[0]), 1e-5);
}

TEST(Inception, LoadsTheWeightsFromAFile) {
  auto stored = weights();
  stored["Mixed_5b.branch1x1.bn.num_batches_tracked"] = at::zeros({}, at::kLong);
  const auto path = test::scratch() / "inception.safetensors";
  io::write_safetensors(path, stored);
  const auto network = load_inception(path);
  EXPECT_EQ(network->fingerprint(), Inception(weights(), "test").fingerprint());
}

// As pytorch-fid's file was published.
TEST(Inception, LoadsTheWeightsFromAFileOfPyTorchBefore16) {
  auto stored = weights();
  stored["Mixed_5b.branch1x1.bn.num_batches_tracked"] = at::zeros({}, at::kLong);
  const auto path = test::scratch() / "pt_inception.pth";
  test::write_bytes(path, test::make_legacy(stored));
  const auto network = load_inception(path);
  EXPECT_EQ(network->fingerprint(), Inception(weights(), "test").fingerprint());
}

TEST(Inception, RefusesOtherWeights) {
  auto others = weights();
  others.erase("Mixed_7c.branch1x1.conv.weight");
  others["fc.weight"] = at::zeros({1000, 2048});  // torchvision's
  EXPECT_THAT(message_of([&] { Inception(others, "other.pth"); }),
              AllOf(HasSubstr("other.pth"), HasSubstr("Mixed_7c.branch1x1.conv.weight"),
                    HasSubstr("[1000, 2048]"), HasSubstr("[1008, 2048]"),
                    HasSubstr("pt_inception-2015-12-05")));
  EXPECT_THAT(message_of([] { (void)load_inception("/nowhere.pth"); }), HasSubstr("/nowhere.pth"));
}

TEST(Inception, RefusesOtherPixels) {
  const Inception network(weights(), "test");
  EXPECT_THAT(message_of([&] { (void)network.extract(at::zeros({2, 4, 8, 8})); }),
              AllOf(HasSubstr("1 or 3"), HasSubstr("[2, 4, 8, 8]")));
  EXPECT_THAT(message_of([&] { (void)network.extract(at::zeros({2, 3, 8, 8}, at::kByte)); }),
              HasSubstr("floating"));
  auto broken = at::zeros({2, 3, 8, 8});
  broken[1][0][0][0] = NAN;
  EXPECT_THAT(message_of([&] { (void)network.extract(broken); }), HasSubstr("not finite"));
}

}  // namespace
}  // namespace l2c
