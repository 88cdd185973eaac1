#include "l2c/evaluation/quality.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "evaluation_support.h"
#include "l2c/core/error.h"
#include "support/golden.h"

namespace l2c {
namespace {

using testing::HasSubstr;

FeatureRows rows_of(const at::Tensor& tensor) {
  return {.values = std::span<const float>(tensor.const_data_ptr<float>(),
                                           static_cast<std::size_t>(tensor.numel())),
          .rows = tensor.size(0),
          .width = tensor.size(1)};
}

class QualityTest : public testing::Test {
 protected:
  static SampleSet samples(std::int64_t images = 20) {
    return SampleSet::sample(test::pixel_pipeline(), test::small_options(images), test::scratch());
  }
  test::QuadrantNetwork network_;
  ReferenceStatistics reference_ =
      measure_reference(test::random_data(50), network_, {.subset = 30, .batch_size = 50});
};

TEST_F(QualityTest, IsThatOfTheMetricsOnAllImages) {
  const auto set = samples();
  const auto quality = measure_quality(set, network_, reference_, {.neighbour = 2});
  const auto [images, labels] = test::all_images(set);
  const auto found = network_.extract(images.to(at::kFloat) / 127.5 - 1);
  const auto probabilities = found.probabilities;
  const auto fake = found.features.contiguous();
  EXPECT_EQ(quality.images, 20);
  EXPECT_NEAR(quality.frechet,
              frechet_distance(reference_.gaussian, gaussian_statistics(rows_of(fake))),
              1e-9 * quality.frechet);
  EXPECT_NEAR(quality.kid, kernel_inception_distance(rows_of(reference_.features), rows_of(fake)),
              1e-9);
  const auto manifold = precision_recall(rows_of(reference_.features), rows_of(fake), 2);
  EXPECT_EQ(quality.precision, manifold.precision);
  EXPECT_EQ(quality.recall, manifold.recall);
  const auto softmax = probabilities.contiguous();
  EXPECT_NEAR(quality.inception_score, inception_score(rows_of(softmax), 2), 1e-9);
  const auto right = probabilities.argmax(1).eq(labels).sum().item<std::int64_t>();
  EXPECT_EQ(quality.recognised, right);
  EXPECT_EQ(quality.accuracy.value, static_cast<double>(right) / 20);
  EXPECT_EQ(quality.accuracy.low, share_interval(right, 20).low);
}

TEST_F(QualityTest, OfTheReferenceItselfIsPerfect) {
  const auto set = samples();
  const auto [images, labels] = test::all_images(set);
  const test::TensorData same(images.to(at::kFloat) / 127.5 - 1, labels);
  const auto reference = measure_reference(same, network_);
  const auto quality = measure_quality(set, network_, reference);
  EXPECT_NEAR(quality.frechet, 0, 1e-9);
  EXPECT_EQ(quality.precision, 1);
  EXPECT_EQ(quality.recall, 1);
  EXPECT_EQ(quality.recognised, reference.recognised);
}

TEST_F(QualityTest, OptionsChangeTheNumbers) {
  const auto set = samples();
  const auto base = measure_quality(set, network_, reference_);
  const auto wider = measure_quality(set, network_, reference_, {.neighbour = 15});
  EXPECT_GE(wider.precision, base.precision);
  EXPECT_NE(wider.precision + wider.recall, base.precision + base.recall);
  const auto one = measure_quality(set, network_, reference_, {.inception_blocks = 1});
  EXPECT_NE(one.inception_score, base.inception_score);
}

TEST_F(QualityTest, TakesFewerBlocksWhereTheyDoNotDivide) {
  // 18 images: 9 blocks of 2 are the most up to 10.
  const auto set = samples(18);
  const auto quality = measure_quality(set, network_, reference_);
  const auto softmax =
      network_.extract(test::all_images(set).images.to(at::kFloat) / 127.5 - 1).probabilities;
  EXPECT_NEAR(quality.inception_score, inception_score(rows_of(softmax.contiguous()), 2), 1e-9);
}

TEST_F(QualityTest, RefusesWhatDoesNotBelongTogether) {
  const auto set = samples();
  const auto refuses = [&](const FeatureNetwork& network, const ReferenceStatistics& reference,
                           const QualityOptions& options, const char* says) {
    EXPECT_THAT([&] { (void)measure_quality(set, network, reference, options); },
                testing::ThrowsMessage<InputError>(HasSubstr(says)));
  };
  refuses(test::QuadrantNetwork(4, "other"), reference_, {}, "measured with another network");
  auto larger = measure_reference(test::random_data(20, 5, 16), network_);
  refuses(network_, larger, {}, "1 channels of 8 x 8, those of the reference");
  refuses(network_, reference_, {.neighbour = 20}, "have 20 rows, at least 21");
  refuses(network_, reference_, {.inception_blocks = 0}, "0 blocks");
  auto fewer = reference_;
  fewer.num_classes = 3;
  refuses(network_, fewer, {}, "knows 4 classes, the images have 3");
}

TEST_F(QualityTest, Stops) {
  const auto set = samples();
  std::stop_source source;
  source.request_stop();
  EXPECT_THROW((void)measure_quality(set, network_, reference_, {}, source.get_token()), Cancelled);
}

TEST_F(QualityTest, SaysHowManyBlocksItUses) {
  const auto expect = [](std::int64_t images, int most, std::int64_t blocks, std::int64_t rows) {
    const auto found = inception_blocks(images, {.inception_blocks = most});
    EXPECT_EQ(found.blocks, blocks) << images;
    EXPECT_EQ(found.rows, rows) << images;
  };
  expect(5000, 10, 10, 500);
  expect(18, 10, 9, 2);
  expect(7, 10, 7, 1);
  expect(11, 10, 1, 11);
  EXPECT_THAT([] { (void)inception_blocks(8, {.inception_blocks = 0}); },
              testing::ThrowsMessage<InputError>(HasSubstr("0 blocks")));
}

TEST_F(QualityTest, TellsLibTorchsErrorsInOurTerms) {
  const auto set = samples();
  EXPECT_THAT([&] { (void)measure_quality(set, test::BrokenNetwork(0), reference_); },
              testing::ThrowsMessage<RunError>(test::our_libtorch_error()));
  EXPECT_THAT([&] { (void)measure_quality(set, test::BrokenNetwork(0, true), reference_); },
              testing::ThrowsMessage<RunError>(HasSubstr("out of memory: try fewer images")));
}

}  // namespace
}  // namespace l2c
