// PNG files that lie or ask for too much. docs/formats.md has the table.
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "l2c/io/image.h"
#include "l2c/io/png.h"
#include "l2c/io/png_text.h"
#include "support/byte_files.h"
#include "support/golden.h"
#include "support/hostile_files.h"

namespace {

using namespace l2c::test;  // NOLINT: the table's words

std::string big_endian(std::uint32_t value) {
  std::string bytes = packed(value);
  std::ranges::reverse(bytes);
  return bytes;
}

std::string chunk(const std::string& type, const std::string& content) {
  const std::string all = type + content;
  const auto checksum = crc32_z(0, reinterpret_cast<const Bytef*>(all.data()), all.size());
  return big_endian(static_cast<std::uint32_t>(content.size())) + all +
         big_endian(static_cast<std::uint32_t>(checksum));
}

std::string zlib_stream(const std::string& data) {
  const auto sum = adler32_z(1, reinterpret_cast<const Bytef*>(data.data()), data.size());
  return std::string("\x78\xda") + deflated(data) + big_endian(static_cast<std::uint32_t>(sum));
}

// Gray, 8 bits.
std::string png(std::uint32_t width, std::uint32_t height, const std::string& rows,
                const std::string& before = "") {
  return std::string("\x89PNG\r\n\x1a\n") +
         chunk("IHDR", big_endian(width) + big_endian(height) + std::string("\x08\0\0\0\0", 5)) +
         before + chunk("IDAT", zlib_stream(rows)) + chunk("IEND", "");
}

const std::string kRows = std::string("\0ab\0cd", 6);

std::string wrong_checksum() {
  std::string bytes = png(2, 2, kRows);
  bytes[bytes.size() - 1] = 'x';
  bytes[29] = 'x';
  return bytes;
}

TEST(HostileFiles, Png) {
  const std::string whole = png(2, 2, kRows);
  std::string long_chunk = png(2, 2, kRows, chunk("iTXt", ""));
  long_chunk[long_chunk.find("iTXt") - 4] = '\x30';
  const std::string text =
      std::string("l2c") + std::string(2, '\0') + zlib_stream(std::string(200'000'000, 'x'));
  expect_answers(
      {
          {"a PNG cut in half", "a.png", whole.substr(0, whole.size() / 2), "is cut short"},
          {"a PNG chunk of 800 MB in 80 bytes", "a.png", long_chunk, "is cut short"},
          {"a PNG with a wrong checksum", "a.png", wrong_checksum(), "is no PNG that can be read"},
          {"a PNG of 2^31 x 2^31 pixels", "a.png", png(0x7fffffff, 0x7fffffff, kRows),
           "is no PNG that can be read"},
          {"a PNG of 16,384 x 16,384 pixels in 70 bytes", "a.png", png(16384, 16384, kRows),
           "pixels cannot be in its"},
          {"a PNG with too few rows", "a.png", png(2, 9, kRows), "is no PNG that can be read"},
          {"a PNG whose text unpacks to 200 MB", "a.png", png(2, 2, kRows, chunk("zTXt", text)),
           ""},
          {"a PNG with 10,000 texts", "a.png",
           png(2, 2, kRows,
               [] {
                 std::string all;
                 for (int i = 0; i < 10'000; ++i) all += chunk("tEXt", std::string("a\0b", 3));
                 return all;
               }()),
           ""},
          {"a JPEG of 26,433 x 16,657 pixels in 52 bytes", "a.jpg",
           std::string("\xff\xd8\xff\xe0\x00\x01\x14\x14\x14\x14\x14\x14\x14\x14\xff\xc0"
                       "\x00\x11\x08\x67\x41\x11\x41\x03\x01\x22\x08\x02\x11\x01\x03\x44"
                       "\x00\x00\xe9\xea\xfa\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x50"
                       "\x41\x30\xdb\x01",
                       52),
           "pixels cannot be in its"},
          {"a text file named .png", "a.png", "hello, world", "neither"},
      },
      [](const std::filesystem::path& path) { (void)l2c::io::read_image(path); });
}

// A text chunk whose text is under the keyword "l2c".
std::string texts(const std::string& type, const std::string& content) {
  return png(2, 2, kRows, chunk(type, std::string("l2c\0", 4) + content));
}

TEST(HostileFiles, PngText) {
  std::string damaged = texts("tEXt", "{}");
  damaged[damaged.find("{}")] = '[';
  std::string long_chunk = texts("tEXt", "{}");
  long_chunk[long_chunk.find("tEXt") - 4] = '\x7f';
  const std::string twice = chunk("tEXt", std::string("l2c\0{}", 6));
  expect_answers(
      {
          {"a PNG text of 2 MB", "a.png", texts("tEXt", std::string(2'000'000, 'x')),
           "has 2000000 bytes, 1048576 are the most"},
          {"a PNG text that is there twice", "a.png", png(2, 2, kRows, twice + twice),
           "is there twice"},
          {"a PNG text with a wrong checksum", "a.png", damaged, "is damaged"},
          {"a PNG text of 2 GB in 80 bytes", "a.png", long_chunk, "is cut short"},
          {"a PNG text without an end chunk", "a.png",
           texts("tEXt", "{}").substr(0, texts("tEXt", "{}").size() - 12), "is cut short"},
          {"a compressed international PNG text", "a.png",
           texts("iTXt", std::string("\x01\0\0\0", 4) + zlib_stream("{}")),
           "is compressed, which is not read"},
          {"an international PNG text without its fields", "a.png",
           texts("iTXt", std::string("\0\0en", 4)), "is too short"},
          {"an international PNG text", "a.png", texts("iTXt", std::string("\0\0en\0l2c\0{}", 11)),
           ""},
          {"a PNG whose text has another keyword", "a.png",
           png(2, 2, kRows, chunk("tEXt", std::string("l2cx\0{}", 7))), ""},
      },
      [](const std::filesystem::path& path) { (void)l2c::io::read_png_text(path, "l2c"); });
}

}  // namespace
