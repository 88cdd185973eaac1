// assets/fashion-mnist/classifier.safetensors: what its README says of it.
#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>

#include "l2c/evaluation/classifier_trainer.h"
#include "support/golden.h"

namespace l2c {
namespace {

std::filesystem::path shipped() {
  return test::source_dir() / "assets/fashion-mnist/classifier.safetensors";
}

TEST(ShippedClassifier, IsSmallAndForFashionMnist) {
  EXPECT_LE(std::filesystem::file_size(shipped()), 1'500'000U);
  EXPECT_EQ(load_classifier(shipped())->config(), ClassifierConfig{});
}

// The demo model's images, as the official code samples them: one of each class. The dress has a
// dark slit from top to bottom and passes for a pair of trousers.
TEST(ShippedClassifier, KnowsTheDemoModelsImages) {
  const auto file =
      io::SafetensorsFile::open(test::data("fashion_mnist/samples_ddim20_cfg3.safetensors"));
  const auto result = load_classifier(shipped())->extract(file.tensor("full.clamped"));
  const at::Tensor known = result.probabilities.argmax(1).eq(file.tensor("labels"));
  EXPECT_GE(known.sum().item<int>(), 9) << known;
}

TEST(ShippedClassifier, KnowsTheTestImages) {
  const std::filesystem::path folder = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::exists(folder)) {
    GTEST_SKIP() << folder << " is not there (Debian's package dataset-fashion-mnist)";
  }
  const auto test = open_data(folder, {.split = "test"});
  std::vector<std::int64_t> first(2000);
  std::iota(first.begin(), first.end(), 0);
  const DataBatch batch = test->batch(first);
  const auto part = tensor_data(batch.x, batch.y, test->info().num_classes, "2000 test images");
  const double accuracy = classify(*load_classifier(shipped()), *part).accuracy;
  EXPECT_GT(accuracy, 0.91);
  RecordProperty("accuracy", std::to_string(accuracy));
}

}  // namespace
}  // namespace l2c
