#include "l2c/io/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "l2c/core/error.h"
#include "l2c/core/torch.h"
#include "l2c/io/safetensors.h"
#include "support/byte_files.h"
#include "support/golden.h"

namespace {

using l2c::InputError;
using l2c::io::Bitmap;
using l2c::io::read_image;
using l2c::io::SafetensorsFile;
using l2c::io::with_channels;
using l2c::test::data;
using l2c::test::read_bytes;
using l2c::test::scratch;
using l2c::test::write_bytes;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

// The largest difference in levels of 0 ... 255; 256 for another shape.
int largest_difference(const Bitmap& bitmap, const at::Tensor& expected) {
  const at::Tensor actual = at::tensor(at::ArrayRef<std::uint8_t>(bitmap.pixels), at::kByte)
                                .view({bitmap.height, bitmap.width, bitmap.channels});
  if (actual.sizes() != expected.sizes()) return 256;
  return (actual.to(at::kInt) - expected.to(at::kInt)).abs().max().item<int>();
}

std::filesystem::path folder_file(const std::string& name) {
  return data("datasets/folder") / name;
}

const SafetensorsFile& pillow() {
  static const auto file = SafetensorsFile::open(data("datasets/golden.safetensors"));
  return file;
}

// Each file of tests/data/datasets/folder against Pillow.
class ReadImage : public testing::TestWithParam<const char*> {};

TEST_P(ReadImage, DecodesAsPillow) {
  const std::string name = std::string("decoded/") + GetParam();
  EXPECT_EQ(largest_difference(read_image(folder_file(GetParam())), pillow().tensor(name)), 0);
}

INSTANTIATE_TEST_SUITE_P(Files, ReadImage,
                         testing::Values("boots/420.jpg", "boots/gray.JPG",
                                         "boots/progressive.jpeg", "coats/rgb.png",
                                         "coats/gray.png", "coats/palette.png", "coats/one_bit.png",
                                         "coats/rgba.png", "coats/gray_alpha.png",
                                         "coats/gray16.png"));

TEST(WithChannels, GrayIsPillowsGray) {
  for (const char* name : {"boots/420.jpg", "boots/progressive.jpeg", "coats/rgb.png",
                           "coats/palette.png", "coats/rgba.png"}) {
    const Bitmap gray = with_channels(read_image(folder_file(name)), 1);
    const at::Tensor expected = pillow().tensor(std::string("gray/") + name).unsqueeze(-1);
    EXPECT_EQ(largest_difference(gray, expected), 0) << name;
  }
}

TEST(WithChannels, ChangesGrayAndColour) {
  const Bitmap colour{.width = 2, .height = 1, .channels = 3, .pixels = {255, 0, 0, 10, 20, 30}};
  EXPECT_EQ(with_channels(colour, 1).pixels, (std::vector<std::uint8_t>{76, 18}));
  EXPECT_EQ(with_channels(colour, 3).pixels, colour.pixels);
  const Bitmap gray = with_channels(colour, 1);
  EXPECT_EQ(with_channels(gray, 3).pixels, (std::vector<std::uint8_t>{76, 76, 76, 18, 18, 18}));
  EXPECT_THAT([&] { with_channels(gray, 4); },
              ThrowsMessage<InputError>(HasSubstr("1 or 3 channels, not 4")));
}

void expect_refused(const std::string& bytes, const std::string& message) {
  const auto path = scratch() / "image.jpg";
  write_bytes(path, bytes);
  EXPECT_THAT([&] { read_image(path); },
              ThrowsMessage<InputError>(AllOf(HasSubstr(path.string()), HasSubstr(message))));
}

TEST(ReadImage, TellsFormatsByContent) {
  const auto path = scratch() / "image.jpg";
  write_bytes(path, read_bytes(folder_file("coats/rgb.png")));
  EXPECT_EQ(read_image(path).width, 33);
  expect_refused("GIF89a", "neither a PNG nor a JPEG file");
  expect_refused("", "(0 bytes");
  EXPECT_THAT([] { read_image("/nowhere/image.jpg"); },
              ThrowsMessage<InputError>(HasSubstr("No such file")));
}

TEST(ReadImage, RefusesDamagedJpegs) {
  for (const char* name : {"boots/420.jpg", "boots/gray.JPG", "boots/progressive.jpeg"}) {
    const std::string whole = read_bytes(folder_file(name));
    for (const std::size_t size :
         {whole.size() - 2, whole.size() / 2, std::size_t{200}, std::size_t{3}}) {
      expect_refused(whole.substr(0, size), "is no JPEG that can be read: libjpeg: ");
    }
  }
  std::string scrambled = read_bytes(folder_file("boots/420.jpg"));
  for (std::size_t i = scrambled.size() / 2; i < scrambled.size() - 2; ++i) scrambled[i] = '\x7b';
  expect_refused(scrambled, "Corrupt JPEG data");
}

// Never anything but an image or an InputError, whichever byte is wrong.
TEST(ReadImage, SurvivesAnyWrongByte) {
  const auto path = scratch() / "image.jpg";
  int read = 0, refused = 0;
  for (const char* name : {"boots/gray.JPG", "coats/palette.png"}) {
    const std::string whole = read_bytes(folder_file(name));
    for (std::size_t i = 0; i < whole.size(); i += 3) {
      std::string bytes = whole;
      bytes[i] = static_cast<char>(~bytes[i]);
      write_bytes(path, bytes);
      try {
        const Bitmap bitmap = read_image(path);
        EXPECT_EQ(bitmap.pixels.size(), static_cast<std::size_t>(bitmap.width) *
                                            static_cast<std::size_t>(bitmap.height) *
                                            static_cast<std::size_t>(bitmap.channels));
        ++read;
      } catch (const InputError&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(read, 0);
  EXPECT_GT(refused, 0);
}

TEST(ReadImage, RefusesCmykWithAdvice) {
  EXPECT_THAT([] { read_image(data("datasets/cmyk.jpg")); },
              ThrowsMessage<InputError>(
                  AllOf(HasSubstr("cmyk.jpg"), HasSubstr("CMYK"), HasSubstr("convert it to RGB"))));
}

TEST(ReadImage, RefusesTooManyPixelsBeforeItTakesMemory) {
  std::string jpeg = read_bytes(folder_file("boots/420.jpg"));
  const std::size_t frame = jpeg.find("\xff\xc0");
  ASSERT_NE(frame, jpeg.npos);
  jpeg.replace(frame + 5, 4, "\xff\x00\xff\x00", 4);  // height and width
  expect_refused(jpeg, "65280 x 65280 pixels are too many");
}

// A progressive file that sends its first scan again and again.
TEST(ReadImage, StopsAfterTooManyScans) {
  const std::string whole = read_bytes(folder_file("boots/gray.JPG"));
  const std::size_t first = whole.find("\xff\xda");
  ASSERT_NE(first, whole.npos);
  const std::size_t end = whole.find("\xff\xc4", first);  // the tables of the second scan
  ASSERT_NE(end, whole.npos);
  const std::string scan = whole.substr(first, end - first);
  const auto repeated = [&](int times) {
    std::string bytes = whole.substr(0, first);
    for (int i = 0; i < times; ++i) bytes += scan;
    return bytes + whole.substr(end);
  };
  const auto path = scratch() / "image.jpg";
  write_bytes(path, repeated(20));
  EXPECT_EQ(read_image(path).pixels, read_image(folder_file("boots/gray.JPG")).pixels);
  expect_refused(repeated(600), "too many scans");
}

}  // namespace
