#include "l2c/io/png_text.h"

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
using l2c::io::Bitmap;
using l2c::io::encode_png;
using l2c::io::read_png;
using l2c::io::read_png_text;
using l2c::io::with_png_text;
using l2c::io::write_png;
using l2c::io::write_png_with_text;
using l2c::test::read_bytes;
using l2c::test::scratch;
using testing::HasSubstr;
using testing::ThrowsMessage;

const Bitmap kBitmap{.width = 2, .height = 1, .channels = 3, .pixels = {1, 2, 3, 4, 5, 6}};

TEST(PngText, ComesBackBesideThePicture) {
  const auto path = scratch() / "text.png";
  const std::string text = R"({"seed": 3, "name": "caf\u00e9"})";
  write_png_with_text(path, kBitmap, "l2c", text);
  EXPECT_EQ(read_png_text(path, "l2c"), text);
  EXPECT_EQ(read_png_text(path, "l2"), std::nullopt);
  EXPECT_EQ(read_png_text(path, "l2c settings"), std::nullopt);
  EXPECT_EQ(read_png(path).pixels, kBitmap.pixels);
}

TEST(PngText, MayBeEmptyOrOneOfSeveral) {
  const auto path = scratch() / "texts.png";
  const auto first = with_png_text(encode_png(kBitmap), "Author", "someone");
  const auto both = with_png_text(first, "l2c", "");
  l2c::test::write_bytes(path, std::string(both.begin(), both.end()));
  EXPECT_EQ(read_png_text(path, "l2c"), "");
  EXPECT_EQ(read_png_text(path, "Author"), "someone");
  EXPECT_EQ(read_png(path).pixels, kBitmap.pixels);
}

TEST(PngText, IsMissingFromAnOrdinaryPicture) {
  const auto path = scratch() / "plain.png";
  write_png(path, kBitmap);
  EXPECT_EQ(read_png_text(path, "l2c"), std::nullopt);
}

TEST(PngText, TheLongestThatIsWrittenIsRead) {
  const auto path = scratch() / "long.png";
  const std::string text(l2c::io::most_png_text, 'x');
  write_png_with_text(path, kBitmap, "l2c", text);
  EXPECT_EQ(read_png_text(path, "l2c"), text);
}

TEST(PngText, IsCheckedBeforeItIsWritten) {
  const auto png = encode_png(kBitmap);
  const auto write = [&](std::string_view keyword, std::string_view text) {
    return [&png, keyword, text] { (void)with_png_text(png, keyword, text); };
  };
  EXPECT_THAT(write("", "x"), ThrowsMessage<InputError>(HasSubstr("cannot be the keyword")));
  EXPECT_THAT(write(" l2c", "x"), ThrowsMessage<InputError>(HasSubstr("cannot be the keyword")));
  const std::string long_word(80, 'k');
  EXPECT_THAT(write(long_word, "x"), ThrowsMessage<InputError>(HasSubstr("1 to 79")));
  EXPECT_THAT(write("l2c", "a\xc3\xa9"), ThrowsMessage<InputError>(HasSubstr("byte 1 is 0xc3")));
  const std::string long_text(l2c::io::most_png_text + 1, 'x');
  EXPECT_THAT(write("l2c", long_text),
              ThrowsMessage<InputError>(HasSubstr("1048576 are the most")));
  const auto path = scratch() / "never.png";
  EXPECT_THAT([&] { write_png_with_text(path, kBitmap, "l2c", "\xff"); },
              ThrowsMessage<InputError>(HasSubstr("ASCII")));
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(PngText, IsOnlyInPngFiles) {
  const auto path = scratch() / "words.png";
  l2c::test::write_bytes(path, std::string("hello, world"));
  EXPECT_THAT([&] { (void)read_png_text(path, "l2c"); },
              ThrowsMessage<InputError>(HasSubstr("words.png' is no PNG file")));
}

}  // namespace
