// Networks and references as ImageNet-size evaluations have them: no labels known, spatial
// features, statistics without images.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "evaluation_support.h"
#include "l2c/core/error.h"
#include "l2c/evaluation/evaluator.h"
#include "l2c/evaluation/quality.h"
#include "l2c/evaluation/reference_source.h"
#include "l2c/evaluation/report.h"
#include "l2c/io/npz.h"
#include "l2c/io/png.h"
#include "support/golden.h"
#include "support/messages.h"

namespace l2c {
namespace {

using test::message_of;
using testing::AllOf;
using testing::HasSubstr;

// The means of quadrants, without a judgement of labels; spatial: 6 pixels.
class PlacesNetwork : public test::QuadrantNetwork {
 public:
  PlacesNetwork() : test::QuadrantNetwork(3, "places") {}
  [[nodiscard]] Features extract(const at::Tensor& pixels) const override {
    auto found = test::QuadrantNetwork::extract(pixels);
    found.spatial = pixels.flatten(1).narrow(1, 0, 6).contiguous();
    return found;
  }
  [[nodiscard]] bool knows_labels() const override { return false; }
};

// Features alone.
class PlainNetwork final : public PlacesNetwork {
 public:
  [[nodiscard]] Features extract(const at::Tensor& pixels) const override {
    return {.features = PlacesNetwork::extract(pixels).features};
  }
};

FeatureRows rows_of(const at::Tensor& tensor) {
  return {.values = std::span<const float>(tensor.const_data_ptr<float>(),
                                           static_cast<std::size_t>(tensor.numel())),
          .rows = tensor.size(0),
          .width = tensor.size(1)};
}

SampleSet samples() {
  return SampleSet::sample(test::pixel_pipeline(), test::small_options(), test::scratch());
}
at::Tensor pixels_of(const SampleSet& set) {
  return test::all_images(set).images.to(at::kFloat) / 127.5 - 1;
}

at::Tensor table(const std::vector<double>& values, at::IntArrayRef shape) {
  return at::tensor(at::ArrayRef<double>(values), at::kDouble).reshape(shape);
}

// The reference's statistics as ADM stores them.
std::filesystem::path statistics_file(const ReferenceStatistics& reference, bool spatial = true) {
  const auto path = test::scratch() / "statistics.npz";
  io::NpzWriter file(path);
  file.add("mu", table(reference.gaussian.mean, {4}));
  file.add("sigma", table(reference.gaussian.covariance, {4, 4}));
  if (spatial) {
    file.add("mu_s", table(reference.spatial.mean, {6}));
    file.add("sigma_s", table(reference.spatial.covariance, {6, 6}));
  }
  file.commit();
  return path;
}

TEST(StandardMetrics, SpatialFrechetIsThatOfTheSpatialFeatures) {
  const PlacesNetwork network;
  const auto data = test::random_data(50);
  const auto reference = measure_reference(data, network, {.subset = 30, .batch_size = 20});
  const auto set = samples();
  const auto quality = measure_quality(set, network, reference);
  std::vector<std::int64_t> all(50);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int64_t>(i);
  const auto real_spatial = network.extract(data.batch(all).x).spatial;
  const auto fake_spatial = network.extract(pixels_of(set)).spatial;
  const double expected = frechet_distance(gaussian_statistics(rows_of(real_spatial)),
                                           gaussian_statistics(rows_of(fake_spatial)));
  EXPECT_NEAR(quality.spatial_frechet, expected, 1e-9 * expected);
  const auto softmax = network.extract(pixels_of(set)).probabilities.contiguous();
  EXPECT_NEAR(quality.inception_score_whole, inception_score(rows_of(softmax), 20), 1e-9);
  EXPECT_NE(quality.inception_score_whole, quality.inception_score);
  EXPECT_TRUE(std::isnan(quality.accuracy.value));
  EXPECT_EQ(quality.recognised, 0);
}

TEST(StandardMetrics, KidImagesAreEvenlySpread) {
  const PlacesNetwork network;
  const auto reference = measure_reference(test::random_data(50), network);
  const auto set = samples();
  const auto some = measure_quality(set, network, reference, {.kid_images = 5});
  const auto every_fourth =
      network.extract(pixels_of(set)).features.slice(0, 0, 20, 4).contiguous();
  EXPECT_NEAR(some.kid,
              kernel_inception_distance(rows_of(reference.features), rows_of(every_fourth)), 1e-12);
  EXPECT_NE(some.kid, measure_quality(set, network, reference).kid);
  EXPECT_THAT(
      message_of([&] { (void)measure_quality(set, network, reference, {.kid_images = 1}); }),
      HasSubstr("1 images for KID"));
}

TEST(StandardMetrics, WhatANetworkLacksIsNotANumber) {
  const PlainNetwork network;
  const auto reference = measure_reference(test::random_data(50), network);
  EXPECT_TRUE(reference.spatial.mean.empty());
  const auto quality = measure_quality(samples(), network, reference);
  EXPECT_GT(quality.frechet, 0);
  EXPECT_FALSE(std::isnan(quality.kid));
  EXPECT_TRUE(std::isnan(quality.spatial_frechet));
  EXPECT_TRUE(std::isnan(quality.inception_score));
  EXPECT_TRUE(std::isnan(quality.inception_score_whole));
}

TEST(StandardMetrics, SavedReferencesKeepTheSpatialStatistics) {
  const auto path = test::scratch() / "reference.safetensors";
  const auto saved = measure_reference(test::random_data(60), PlacesNetwork());
  save_reference(path, saved);
  const auto loaded = load_reference(path);
  EXPECT_EQ(fingerprint(loaded), fingerprint(saved));
  EXPECT_EQ(loaded.spatial.mean, saved.spatial.mean);
  EXPECT_EQ(loaded.spatial.covariance, saved.spatial.covariance);
  EXPECT_FALSE(loaded.knows_labels);
  auto other = saved;
  other.spatial.mean[0] += 1;
  EXPECT_NE(fingerprint(other), fingerprint(saved));
}

class ReferenceSourceTest : public testing::Test {
 protected:
  ReferenceStatistics of(const std::filesystem::path& path) const {
    return ReferenceSource::open(path).statistics(test::scratch(), network_);
  }
  PlacesNetwork network_;
  ReferenceStatistics measured_ = measure_reference(test::random_data(50), network_);
};

TEST_F(ReferenceSourceTest, StatisticsWithoutImages) {
  const auto path = statistics_file(measured_);
  const auto source = ReferenceSource::open(path);
  EXPECT_EQ(source.info().image_size, 0);
  const auto reference = source.statistics(test::scratch(), network_);
  EXPECT_EQ(reference.gaussian.mean, measured_.gaussian.mean);
  EXPECT_EQ(reference.spatial.covariance, measured_.spatial.covariance);
  const auto set = samples();
  const auto quality = measure_quality(set, network_, reference);
  const auto direct = measure_quality(set, network_, measured_);
  EXPECT_EQ(quality.frechet, direct.frechet);
  EXPECT_EQ(quality.spatial_frechet, direct.spatial_frechet);
  for (const double number : {quality.kid, quality.precision, quality.recall}) {
    EXPECT_TRUE(std::isnan(number));
  }
  EXPECT_TRUE(std::isnan(
      measure_quality(set, network_, of(statistics_file(measured_, false))).spatial_frechet));
}

TEST_F(ReferenceSourceTest, ImagesOfAnNpz) {
  const auto images = at::randint(0, 256, {12, 8, 8, 1}).to(at::kByte);
  const auto path = test::scratch() / "batch.npz";
  io::NpzWriter file(path);
  file.add("arr_0", images);
  file.add("mu", at::ones({4}));
  file.add("sigma", at::eye(4));
  file.commit();
  const auto reference = of(path);
  EXPECT_EQ(reference.image_size, 8);
  EXPECT_EQ(reference.channels, 1);
  EXPECT_EQ(reference.gaussian.mean, std::vector<double>(4, 1.0)) << "the file's own";
  EXPECT_EQ(reference.spatial.mean.size(), 6) << "measured, as the file has none";
  const auto pixels = images.permute({0, 3, 1, 2}).to(at::kFloat).div(127.5F).sub(1.0F);
  test::expect_equal(reference.features, network_.extract(pixels.contiguous()).features,
                     "features");
  EXPECT_THAT(reference.data, HasSubstr("batch.npz"));
  // A classifier's features have nothing to do with the statistics, whatever images are there.
  EXPECT_THAT(message_of([&] { ReferenceSource::open(path).check(test::QuadrantNetwork()); }),
              AllOf(HasSubstr("batch.npz"), HasSubstr("holds images and"), HasSubstr("arr_0")));
}

TEST_F(ReferenceSourceTest, AFolderOfImagesAndWhatWasKeptOfIt) {
  const auto folder = test::scratch();
  for (int i = 0; i < 6; ++i) {
    io::Bitmap bitmap{.width = 8, .height = 8, .channels = 1, .pixels = {}};
    bitmap.pixels.assign(64, static_cast<std::uint8_t>(40 * i));
    io::write_png(folder / fmt::format("{}.png", i), bitmap);
  }
  const DataOptions gray{
      .split = "test or all", .image_size = 8, .channels = 1, .need_classes = false};
  const auto work = test::scratch();
  const auto reference = ReferenceSource::open(folder, gray).statistics(work, network_);
  EXPECT_EQ(reference.gaussian.rows, 6);
  EXPECT_NEAR(reference.gaussian.mean[0], 100 / 127.5 - 1, 1e-6);
  for (const auto& name : test::names_in(work)) {
    if (!name.starts_with("reference-")) continue;
    EXPECT_EQ(fingerprint(of(work / name)), fingerprint(reference));
    EXPECT_NO_THROW(ReferenceSource::open(work / name).check(PlainNetwork()));
    EXPECT_THAT(
        message_of([&] { ReferenceSource::open(work / name).check(test::QuadrantNetwork()); }),
        HasSubstr("another network"));
    return;
  }
  FAIL() << "nothing was kept";
}

TEST_F(ReferenceSourceTest, RefusesWhatDoesNotFit) {
  const auto path = statistics_file(measured_);
  EXPECT_THAT(message_of([&] { ReferenceSource::open(path).check(test::QuadrantNetwork()); }),
              AllOf(HasSubstr("statistics of the Inception network"), HasSubstr("no images")));
  const auto write = [](const at::Tensor& mu, const at::Tensor& sigma) {
    const auto other = test::scratch() / "other.npz";
    io::NpzWriter file(other);
    file.add("mu", mu);
    file.add("sigma", sigma);
    file.commit();
    return other;
  };
  EXPECT_THAT(
      message_of([&] { (void)of(write(at::ones({5}), at::eye(5))); }),
      AllOf(HasSubstr("other.npz"), HasSubstr("statistics of 5 features"), HasSubstr("gives 4")));
  EXPECT_THAT(message_of([&] { (void)of(write(at::ones({5}), at::eye(4))); }),
              AllOf(HasSubstr("'mu' is [5]"), HasSubstr("'sigma' [4, 4]")));
  EXPECT_THAT(message_of([&] { (void)of(write(at::full({4}, NAN), at::eye(4))); }),
              HasSubstr("not finite"));
  const auto empty = test::scratch() / "empty.npz";
  io::NpzWriter file(empty);
  file.add("x", at::ones({2}));
  file.commit();
  EXPECT_THAT(message_of([&] { (void)of(empty); }), AllOf(HasSubstr("no images"), HasSubstr("x")));
}

TEST_F(ReferenceSourceTest, TheReportShowsWhatWasMeasured) {
  EvaluationOptions options;
  options.request = test::small_request();
  options.images = 8;
  options.timing_rounds = 1;
  const auto reference = of(statistics_file(measured_));
  const auto report = evaluate(test::pixel_pipeline(), network_, reference,
                               {parse_policy_spec("full")}, options, test::scratch());
  const auto json = nlohmann::json::parse(report_json(report));
  const auto& policy = json["policies"][0];
  EXPECT_TRUE(policy["kid"]["mean"].is_null());
  EXPECT_TRUE(policy["accuracy"]["mean"].is_null());
  EXPECT_TRUE(policy["pooled_accuracy"]["value"].is_null());
  EXPECT_GT(policy["spatial_frechet"]["mean"].get<double>(), 0);
  EXPECT_GT(policy["seeds"][0]["inception_score_whole"].get<double>(), 1);
  EXPECT_FALSE(json["reference"].contains("accuracy"));
  EXPECT_TRUE(json["reference"]["images"].is_null()) << "the file does not say how many";
  const auto table = report_table(report);
  EXPECT_THAT(table, AllOf(HasSubstr("spatial Fréchet"), HasSubstr("inception (one)")));
  EXPECT_THAT(table, testing::Not(HasSubstr("KID")));
  EXPECT_THAT(table, testing::Not(HasSubstr("accuracy")));
}

}  // namespace
}  // namespace l2c
