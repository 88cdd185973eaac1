#include "l2c/evaluation/classifier.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "l2c/core/error.h"
#include "l2c/diffusion/noise.h"
#include "l2c/evaluation/classifier_trainer.h"
#include "support/golden.h"

namespace l2c {
namespace {

using test::expect_equal;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

ClassifierConfig small() {
  return {.channels = 1, .image_size = 12, .num_classes = 5, .widths = {4, 6, 8, 7}};
}

std::shared_ptr<const Classifier> make(const ClassifierConfig& config = small(),
                                       std::uint64_t seed = 1) {
  return ClassifierNetwork(config, TrainingRandom(seed)).fold();
}

at::Tensor images(std::int64_t count, const ClassifierConfig& config = small()) {
  return philox_normal(3, 0, 0, {count, config.channels, config.image_size, config.image_size});
}

class ClassifierFile : public testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path file(const char* name) const { return folder_ / name; }

 private:
  std::filesystem::path folder_ = test::scratch();
};

TEST(Classifier, GivesFeaturesAndProbabilities) {
  const auto result = make()->extract(images(9));
  EXPECT_EQ(result.features.sizes(), (std::vector<std::int64_t>{9, 7}));
  EXPECT_EQ(result.probabilities.sizes(), (std::vector<std::int64_t>{9, 5}));
  EXPECT_EQ(result.features.scalar_type(), at::kFloat);
  EXPECT_GE(result.features.min().item<float>(), 0);  // a ReLU's
  EXPECT_GT(result.features.std().item<float>(), 0);
  EXPECT_TRUE(at::allclose(result.probabilities.sum(1), at::ones({9})));
}

TEST(Classifier, ThreeChannelsAndOddSizes) {
  const ClassifierConfig config{
      .channels = 3, .image_size = 13, .num_classes = 2, .widths = {3, 5, 4, 6}};
  EXPECT_EQ(make(config)->extract(images(2, config)).features.sizes(),
            (std::vector<std::int64_t>{2, 6}));
}

TEST(Classifier, NoImagesGiveNoFeatures) {
  const auto result = make()->extract(images(0));
  EXPECT_EQ(result.features.sizes(), (std::vector<std::int64_t>{0, 7}));
  EXPECT_EQ(result.probabilities.sizes(), (std::vector<std::int64_t>{0, 5}));
}

// The shipped network's size, so that its kernels are the ones tested.
TEST(Classifier, AnImagesFeaturesDoNotDependOnItsBatch) {
  const ClassifierConfig config;
  const auto classifier = make(config);
  const at::Tensor pixels = images(300, config);
  const auto all = classifier->extract(pixels);
  for (const std::int64_t i : {0, 1, 127, 128, 299}) {
    const auto one = classifier->extract(pixels.narrow(0, i, 1));
    expect_equal(one.features[0], all.features[i], "features");
    expect_equal(one.probabilities[0], all.probabilities[i], "probabilities");
  }
  const auto backwards = classifier->extract(pixels.flip(0));
  expect_equal(backwards.features.flip(0), all.features, "features of the other order");
  const auto part = classifier->extract(pixels.narrow(0, 50, 133));
  expect_equal(part.features, all.features.narrow(0, 50, 133), "features of a part");
}

TEST(Classifier, MayBeCalledFromSeveralThreads) {
  const auto classifier = make();
  const at::Tensor pixels = images(40);
  const auto expected = classifier->extract(pixels);
  std::vector<Features> results(3);
  {
    std::vector<std::jthread> threads;
    for (auto& result : results) {
      threads.emplace_back([&] { result = classifier->extract(pixels); });
    }
  }
  for (const auto& result : results) expect_equal(result.features, expected.features, "features");
}

TEST(Classifier, RefusesOtherPixels) {
  const auto classifier = make();
  const auto refuses = [&](const at::Tensor& pixels, const auto& message) {
    EXPECT_THAT([&] { (void)classifier->extract(pixels); }, ThrowsMessage<InputError>(message));
  };
  refuses(at::zeros({2, 3, 12, 12}),
          AllOf(HasSubstr("[N, 1, 12, 12]"), HasSubstr("[2, 3, 12, 12]")));
  refuses(at::zeros({2, 1, 12, 11}), HasSubstr("[2, 1, 12, 11]"));
  refuses(at::zeros({1, 12, 12}), HasSubstr("[1, 12, 12]"));
  refuses(at::Tensor(), HasSubstr("nothing"));
  refuses(at::zeros({2, 1, 12, 12}, at::kByte), HasSubstr("Byte"));
  at::Tensor broken = at::zeros({200, 1, 12, 12});
  broken[150][0][3][3] = std::numeric_limits<float>::quiet_NaN();
  refuses(broken, AllOf(HasSubstr("images 128 to 199"), HasSubstr("not finite")));
}

TEST_F(ClassifierFile, ComesBackBitForBit) {
  const auto saved = make();
  saved->save(file("saved.safetensors"), {{"seed", "1"}});
  const auto loaded = load_classifier(file("saved.safetensors"));
  EXPECT_EQ(loaded->config(), saved->config());
  EXPECT_EQ(loaded->fingerprint(), saved->fingerprint());
  EXPECT_EQ(loaded->description(), saved->description());
  for (const auto& [name, value] : saved->weights()) {
    expect_equal(loaded->weights().at(name), value, name);
  }
  const auto a = saved->extract(images(3)), b = loaded->extract(images(3));
  expect_equal(b.features, a.features, "features");
  expect_equal(b.probabilities, a.probabilities, "probabilities");
  EXPECT_EQ(io::SafetensorsFile::open(file("saved.safetensors")).metadata().at("seed"), "1");
}

TEST_F(ClassifierFile, FingerprintTellsWeightsAndConfigurationsApart) {
  EXPECT_EQ(make()->fingerprint().size(), 32U);
  EXPECT_EQ(make()->fingerprint(), make()->fingerprint());
  EXPECT_NE(make(small(), 1)->fingerprint(), make(small(), 2)->fingerprint());
  ClassifierConfig larger = small();
  larger.image_size = 16;  // the same weights
  EXPECT_NE(make(larger)->fingerprint(), make()->fingerprint());
}

void expect_bad(const std::filesystem::path& path, const testing::Matcher<std::string>& message) {
  EXPECT_THAT([&] { (void)load_classifier(path); },
              ThrowsMessage<InputError>(AllOf(HasSubstr(path.filename().string()), message)));
}

TEST_F(ClassifierFile, RefusesOtherFiles) {
  expect_bad(file("none.safetensors"), HasSubstr("none"));
  expect_bad(test::data("dit_tiny/weights.safetensors"), HasSubstr("train-classifier"));
}

TEST_F(ClassifierFile, RefusesBadConfigurations) {
  const auto with = [this](const std::string& config) {
    io::write_safetensors(file("bad.safetensors"), make()->weights(),
                          {{"kind", "l2c-classifier"}, {"config", config}});
    return file("bad.safetensors");
  };
  const std::string rest = R"("image_size":12,"num_classes":5,"widths":[4,6,8,7])";
  const auto text = [&](const char* channels) { return fmt::format("{{{}{}}}", channels, rest); };
  expect_bad(with("{"), HasSubstr("not a JSON object"));
  expect_bad(with(text("")), HasSubstr("lacks channels"));
  expect_bad(with(text(R"("channels":1,"depth":3,)")), HasSubstr("unknown field depth"));
  expect_bad(with(text(R"("channels":"1",)")), HasSubstr("channels must be a small integer"));
  expect_bad(with(text(R"("channels":1e9,)")), HasSubstr("channels must be a small integer"));
  expect_bad(with(text(R"("channels":2,)")), HasSubstr("channels is 2, allowed are 1 and 3"));
  expect_bad(with(R"({"channels":1,"image_size":4,"num_classes":5,"widths":[4,6,8,7]})"),
             HasSubstr("image_size is 4, allowed are 8 to 1024"));
  expect_bad(with(R"({"channels":1,"image_size":12,"num_classes":1,"widths":[4,6,8,7]})"),
             HasSubstr("num_classes is 1"));
  expect_bad(with(R"({"channels":1,"image_size":12,"num_classes":5,"widths":[4,6,8]})"),
             HasSubstr("list of 4 integers"));
  expect_bad(with(R"({"channels":1,"image_size":12,"num_classes":5,"widths":[4,6,8,0]})"),
             HasSubstr("a width is 0"));
}

TEST_F(ClassifierFile, RefusesWeightsThatDoNotFit) {
  make()->save(file("good.safetensors"));
  const auto metadata = io::SafetensorsFile::open(file("good.safetensors")).metadata();
  const auto with = [&](const std::function<void(io::TensorMap&)>& change) {
    io::TensorMap weights = make()->weights();
    change(weights);
    io::write_safetensors(file("bad.safetensors"), weights, metadata);
    return file("bad.safetensors");
  };
  expect_bad(with([](auto& w) { w.erase("conv.2.bias"); }),
             AllOf(HasSubstr("missing"), HasSubstr("conv.2.bias [8]")));
  expect_bad(with([](auto& w) { w["conv.4.bias"] = at::zeros({3}); }),
             AllOf(HasSubstr("unexpected"), HasSubstr("conv.4.bias [3]")));
  expect_bad(with([](auto& w) { w["linear.weight"] = at::zeros({5, 8}); }),
             HasSubstr("linear.weight [5, 8] instead of [5, 7]"));
  expect_bad(with([](auto& w) { w["linear.bias"] = at::zeros({5}, at::kLong); }),
             HasSubstr("linear.bias (Long)"));
}

}  // namespace
}  // namespace l2c
