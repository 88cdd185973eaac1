// metrics/metrics.safetensors and expected.json of the reference vectors: numpy in double.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "l2c/io/file.h"
#include "l2c/metrics/distribution.h"
#include "support/golden.h"

namespace l2c {
namespace {

class MetricsGolden : public testing::Test {
 protected:
  static FeatureRows view(const at::Tensor& tensor) {
    return {.values = std::span<const double>(tensor.const_data_ptr<double>(),
                                              static_cast<std::size_t>(tensor.numel())),
            .rows = tensor.size(0),
            .width = tensor.size(1)};
  }
  static at::Tensor tensor(std::vector<double> values, at::IntArrayRef shape) {
    return at::tensor(at::ArrayRef<double>(values), at::kDouble).reshape(shape);
  }
  [[nodiscard]] double expected(const char* name) const { return json_.at(name).get<double>(); }
  void expect(const char* name, double value) const {
    test::expect_close(tensor({value}, {1}), tensor({expected(name)}, {1}), 1e-8,
                       std::string("metrics ") + name);
  }

  io::SafetensorsFile file_ = io::SafetensorsFile::open(test::data("metrics/metrics.safetensors"));
  nlohmann::json json_ = nlohmann::json::parse(io::read_text(test::data("metrics/expected.json")));
  at::Tensor real_ = file_.tensor("real_features");
  at::Tensor fake_ = file_.tensor("fake_features");
};

TEST_F(MetricsGolden, MuAndSigma) {
  for (const std::string set : {"real", "fake"}) {
    const auto s = gaussian_statistics(view(file_.tensor(set + "_features")));
    test::expect_close(tensor(s.mean, {64}), file_.tensor(set + "_mu"), 1e-8, "metrics mu");
    test::expect_close(tensor(s.covariance, {64, 64}), file_.tensor(set + "_sigma"), 1e-8,
                       "metrics sigma");
  }
}

TEST_F(MetricsGolden, Frechet) {
  expect("frechet",
         frechet_distance(gaussian_statistics(view(real_)), gaussian_statistics(view(fake_))));
}

TEST_F(MetricsGolden, FrechetSelf) {
  const auto s = gaussian_statistics(view(real_));
  double trace = 0;
  for (std::size_t i = 0; i < 64; ++i) trace += s.covariance[i * 65];
  // The golden is rounding noise around 0.
  EXPECT_NEAR(frechet_distance(s, s), expected("frechet_self"), 1e-12 * trace);
}

TEST_F(MetricsGolden, Kid) { expect("kid", kernel_inception_distance(view(real_), view(fake_))); }

TEST_F(MetricsGolden, PrecisionAndRecall) {
  const auto both = precision_recall(view(real_), view(fake_), json_.at("k").get<int>());
  EXPECT_EQ(both.precision, expected("precision"));
  EXPECT_EQ(both.recall, expected("recall"));
}

TEST_F(MetricsGolden, InceptionScore) {
  expect("inception_score", inception_score(view(file_.tensor("softmax_rows")),
                                            json_.at("split_size").get<std::int64_t>()));
}

}  // namespace
}  // namespace l2c
