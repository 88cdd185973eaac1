#include "l2c/models/embeddings.h"

#include <gtest/gtest.h>

#include <cmath>

#include "models_support.h"

namespace l2c {
namespace {

TEST(SincosPositions, DitTiny) {
  const auto golden = io::SafetensorsFile::open(test::data("dit_tiny/forward.safetensors"));
  test::expect_close(sincos_positions(64, 4), golden.tensor("pos_embed"), 1e-6,
                     "dit_tiny/forward: pos_embed made here");
}

TEST(SincosPositions, DemoModel) {
  const auto file =
      io::SafetensorsFile::open(test::source_dir() / "assets/fashion-mnist/dit.safetensors");
  test::expect_close(sincos_positions(128, 7), file.tensor("pos_embed"), 1e-6,
                     "demo_model: pos_embed made here");
}

TEST(SincosPositions, TheColumnHalfComesFirst) {
  const auto positions = sincos_positions(8, 3).view({3, 3, 8});
  // Frequency 1: sin of the column in entry 0, of the row in entry 4.
  EXPECT_NEAR(positions[1][2][0].item<double>(), std::sin(2.0), 1e-6);
  EXPECT_NEAR(positions[1][2][4].item<double>(), std::sin(1.0), 1e-6);
}

TEST(TimestepSinusoids, CosinesFirst) {
  const auto t = at::tensor({0.0, 999.0}, at::kDouble);
  const auto sinusoids = timestep_sinusoids(t, 256);
  ASSERT_EQ(sinusoids.sizes(), (std::vector<std::int64_t>{2, 256}));
  EXPECT_EQ(sinusoids.scalar_type(), at::kFloat);
  EXPECT_EQ(sinusoids[0][0].item<float>(), 1);
  EXPECT_EQ(sinusoids[0][128].item<float>(), 0);
  EXPECT_NEAR(sinusoids[1][0].item<double>(), std::cos(999.0), 1e-6);
  EXPECT_NEAR(sinusoids[1][128].item<double>(), std::sin(999.0), 1e-6);
  const double slowest = std::exp(-std::log(10000.0) * 127 / 128);
  EXPECT_NEAR(sinusoids[1][255].item<double>(), std::sin(999.0 * slowest), 1e-6);
}

TEST(TimestepSinusoids, IntegerAndFloatingTimestepsAgree) {
  const auto t = at::tensor({0, 7, 500, 999}, at::kLong);
  test::expect_equal(timestep_sinusoids(t, 256), timestep_sinusoids(t.to(at::kFloat), 256),
                     "sinusoids");
}

}  // namespace
}  // namespace l2c
