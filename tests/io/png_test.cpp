#include "l2c/io/png.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "l2c/core/error.h"
#include "support/byte_files.h"
#include "support/golden.h"

namespace {

using l2c::InputError;
using l2c::RunError;
using l2c::io::Bitmap;
using l2c::io::read_png;
using l2c::io::write_png;
using l2c::test::read_bytes;
using l2c::test::scratch;
using l2c::test::write_bytes;
using testing::HasSubstr;
using testing::ThrowsMessage;

Bitmap pattern(int width, int height, int channels) {
  Bitmap bitmap{.width = width, .height = height, .channels = channels, .pixels = {}};
  for (int i = 0; i < width * height * channels; ++i) {
    bitmap.pixels.push_back(static_cast<std::uint8_t>(i * 37));
  }
  return bitmap;
}

class Png : public testing::TestWithParam<int> {};

TEST_P(Png, RoundTrip) {
  const auto path = scratch() / "image.png";
  Bitmap written = pattern(5, 3, GetParam());
  *written.at(2, 4) = 200;
  write_png(path, written);
  Bitmap read = read_png(path);
  EXPECT_EQ(read.width, 5);
  EXPECT_EQ(read.height, 3);
  EXPECT_EQ(read.channels, GetParam());
  EXPECT_EQ(read.pixels, written.pixels);
  EXPECT_EQ(*read.at(2, 4), 200);
  EXPECT_EQ(read_bytes(path).substr(1, 3), "PNG");
}

INSTANTIATE_TEST_SUITE_P(Channels, Png, testing::Values(1, 3));

TEST(EncodePng, GivesTheBytesOfTheFile) {
  const Bitmap bitmap{.width = 2, .height = 1, .channels = 3, .pixels = {1, 2, 3, 4, 5, 6}};
  const auto path = scratch() / "bytes.png";
  write_png(path, bitmap);
  const auto file = read_bytes(path);
  const auto bytes = l2c::io::encode_png(bitmap);
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), std::string(file.begin(), file.end()));
  EXPECT_THAT(
      [] { (void)l2c::io::encode_png({.width = 0, .height = 1, .channels = 1, .pixels = {}}); },
      testing::ThrowsMessage<InputError>(testing::HasSubstr("0 x 1 pixels")));
}

TEST(WritePng, RefusesWhatIsNoImage) {
  const auto path = scratch() / "image.png";
  EXPECT_THAT([&] { write_png(path, pattern(2, 2, 4)); },
              ThrowsMessage<InputError>(HasSubstr("1 or 3 channels, not 4")));
  EXPECT_THAT([&] { write_png(path, pattern(0, 2, 1)); },
              ThrowsMessage<InputError>(HasSubstr("0 x 2 pixels")));
  Bitmap short_of_one = pattern(2, 2, 3);
  short_of_one.pixels.pop_back();
  EXPECT_THAT([&] { write_png(path, short_of_one); },
              ThrowsMessage<InputError>(HasSubstr("2 x 2 x 3 needs 12 values, 11 were given")));
  Bitmap huge = pattern(1, 1, 1);
  huge.width = huge.height = 1 << 30;
  EXPECT_THAT([&] { write_png(path, huge); }, ThrowsMessage<InputError>(HasSubstr("too many")));
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(WritePng, RefusesBadPathsAndFullDisks) {
  EXPECT_THAT([] { write_png("/nowhere/image.png", pattern(1, 1, 1)); },
              ThrowsMessage<InputError>(HasSubstr("the folder '/nowhere' does not exist")));
  EXPECT_THAT([] { write_png("/dev/full", pattern(1, 1, 1)); },
              ThrowsMessage<RunError>(HasSubstr("disk is full")));
}

TEST(ReadPng, RefusesOtherAndDamagedFiles) {
  const auto path = scratch() / "image.png";
  write_bytes(path, "");
  EXPECT_THAT([&] { read_png(path); }, ThrowsMessage<InputError>(HasSubstr("it is empty")));
  write_bytes(path, "no image at all");
  EXPECT_THAT([&] { read_png(path); }, ThrowsMessage<InputError>(HasSubstr(path.string())));
  write_png(path, pattern(40, 40, 3));
  write_bytes(path, read_bytes(path).substr(0, 100));
  EXPECT_THAT([&] { read_png(path); }, ThrowsMessage<InputError>(HasSubstr("is cut short")));
  EXPECT_THAT([&] { read_png(path.parent_path()); },
              ThrowsMessage<InputError>(HasSubstr("it is a directory")));
}

}  // namespace
