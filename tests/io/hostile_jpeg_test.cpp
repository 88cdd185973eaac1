// JPEG files that ask for too much work or memory. docs/formats.md has the table.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>

#include "l2c/io/image.h"
#include "support/byte_files.h"
#include "support/hostile_files.h"

namespace {

using namespace l2c::test;  // NOLINT: the table's words

std::string segment(char mark, const std::string& content) {
  const std::size_t size = content.size() + 2;
  return joined({"\xff", std::string(1, mark), std::string(1, static_cast<char>(size >> 8U)),
                 std::string(1, static_cast<char>(size & 0xffU)), content});
}

// A Huffman table whose one symbol is the single bit 0.
std::string table(char place, char symbol) {
  return segment('\xc4', joined({std::string(1, place), "\x01", std::string(15, '\0'),
                                 std::string(1, symbol)}));
}

// 2048 x 2048 pixels, progressive, up to its first scan. Nothing is subsampled.
std::string progressive(int colours) {
  std::string frame =
      joined({std::string("\x08\x08\x00\x08\x00", 5), std::string(1, static_cast<char>(colours))});
  for (int i = 1; i <= colours; ++i) {
    frame += joined({std::string(1, static_cast<char>(i)), std::string("\x11\0", 2)});
  }
  constexpr char end_of_band = '\xe0';  // and 14 bits: how many more blocks have nothing
  return joined({"\xff\xd8", segment('\xdb', joined({std::string(1, '\0'), std::string(64, '\1')})),
                 segment('\xc2', frame), table('\x10', end_of_band), table('\x00', '\0')});
}

// All frequencies of all 65,536 blocks in three codes: a run of 32,767 blocks with nothing is a 0
// and fourteen bits of 1. The last byte is filled up with ones.
std::string empty_scan(bool first) {
  const std::string band =
      joined({"\1\1", std::string(1, '\0'), "\x01\x3f", std::string(1, first ? '\x01' : '\x10')});
  const std::string run = std::string("0") + std::string(14, '1');
  std::string bits = run + run + run;
  bits.resize((bits.size() + 7) / 8 * 8, '1');
  std::string scan = segment('\xda', band);
  for (std::size_t i = 0; i < bits.size(); i += 8) {
    const auto byte = static_cast<char>(std::stoi(bits.substr(i, 8), nullptr, 2));
    scan += byte;
    if (byte == '\xff') scan += '\0';
  }
  return scan;
}

// With a comment so long that each block could have a bit of its own.
std::string scans(int count) {
  std::string all = progressive(1) + segment('\xfe', std::string(9000, 'c'));
  for (int i = 0; i < count; ++i) all += empty_scan(i == 0);
  return all + "\xff\xd9";
}

TEST(HostileFiles, Jpeg) {
  const std::string colours =
      progressive(3) + segment('\xfe', std::string(9000, 'c')) + empty_scan(true) + "\xff\xd9";
  expect_answers(
      {
          {"a JPEG of 500 scans that hold nothing", "a.jpg", scans(500), "too many scans"},
          {"a JPEG of 24 scans that hold nothing", "a.jpg", scans(24), ""},
          {"a colour JPEG with bits for the blocks of one colour", "a.jpg", colours,
           "pixels cannot be in its"},
      },
      [](const std::filesystem::path& path) { (void)l2c::io::read_image(path); });
}

}  // namespace
