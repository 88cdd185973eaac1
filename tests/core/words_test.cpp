#include "l2c/core/words.h"

#include <gtest/gtest.h>

namespace l2c {
namespace {

TEST(WithPrefix, ThreeDigits) {
  EXPECT_EQ(with_prefix(0, "B"), "0 B");
  EXPECT_EQ(with_prefix(999.4, "B"), "999 B");
  EXPECT_EQ(with_prefix(999.6, "B"), "1.00 kB");
  EXPECT_EQ(with_prefix(9.1e6, "B"), "9.10 MB");
  EXPECT_EQ(with_prefix(66.06e6, "B"), "66.1 MB");
  EXPECT_EQ(with_prefix(999.7e6, "FLOP"), "1.00 GFLOP");
  EXPECT_EQ(with_prefix(3.5e18, "FLOP"), "3500 PFLOP");
}

TEST(BytesText, NamesBytes) { EXPECT_EQ(bytes_text(802816), "803 kB"); }

TEST(Printable, TextStaysAsItIs) {
  const std::string text =
      "caf\xc3\xa9 \xc2\xa0 \xe2\x80\x94 \xf0\x9f\x8e\x89 \xf4\x8f\xbf\xbf\n\tnext";
  EXPECT_EQ(printable(text), text);
  EXPECT_EQ(printable(""), "");
}

TEST(Printable, NoControlCharacters) {
  EXPECT_EQ(printable("a\x1b[31mRED\x1b]0;title\x07"), "a?[31mRED?]0;title?");
  EXPECT_EQ(printable(std::string_view("\0\r\b\x7f.", 5)), "????.");
  EXPECT_EQ(printable("\xc2\x80 \xc2\x9b 31m \xc2\x9f"), "? ? 31m ?");
}

TEST(Printable, NoBytesThatAreNoUtf8) {
  EXPECT_EQ(printable("\x9b 31m"), "? 31m");  // C1 of Latin-1
  EXPECT_EQ(printable("\xff.pt caf\xe9"), "?.pt caf?");
  EXPECT_EQ(printable("\xc3"), "?");
  EXPECT_EQ(printable("\xe2\x80"), "??");
  EXPECT_EQ(printable("\xc1\x9b"), "??");                   // longer than needed
  EXPECT_EQ(printable("\xe0\x82\x9b"), "???");              // the same
  EXPECT_EQ(printable("\xf0\x80\x82\x9b"), "????");         // the same
  EXPECT_EQ(printable("\xed\xa0\x80"), "???");              // half of a pair
  EXPECT_EQ(printable("\xf4\x90\x80\x80 \xf5"), "???? ?");  // beyond the last letter
}

TEST(OneLine, NoControlCharactersAtAll) {
  EXPECT_EQ(one_line("a\n\tb\x1b\xc2\x9b\x9b", 20), "a??b???");
  EXPECT_EQ(one_line("caf\xc3\xa9", 20), "caf\xc3\xa9");
}

TEST(OneLine, CutsBetweenLetters) {
  EXPECT_EQ(one_line("abcdef", 6), "abcdef");
  EXPECT_EQ(one_line("abcdef", 4), "abcd...");
  EXPECT_EQ(one_line("caf\xc3\xa9 x", 4), "caf...");
  EXPECT_EQ(one_line("caf\xc3\xa9 x", 5), "caf\xc3\xa9...");
  EXPECT_EQ(one_line("\xf0\x9f\x8e\x89 x", 3), "...");
  EXPECT_EQ(one_line("\x80\x80\x80\x80\x80\x80", 5), "?????...");
  EXPECT_EQ(one_line("abc", 0), "...");
}

}  // namespace
}  // namespace l2c
