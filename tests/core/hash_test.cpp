#include "l2c/core/hash.h"

#include <gtest/gtest.h>

#include <string_view>

namespace {

using l2c::Hash;

TEST(Hash, GivesTheDigestsOfXxh3) {
  Hash hash;
  // Both as the Python package xxhash has them: xxh3_128(b'') and xxh3_128(b'l2c data').
  EXPECT_EQ(hash.hex(), "99aa06d3014798d86001c324468d497f");
  hash.bytes("l2c data", 8);
  EXPECT_EQ(hash.hex(), "4c1aa166e5140df619d6aef8d8c85c24");
}

TEST(Hash, TellsSequencesApart) {
  const auto of = [](std::string_view first, std::string_view second) {
    Hash hash;
    hash.text(first);
    hash.text(second);
    return hash.hex();
  };
  EXPECT_EQ(of("ab", "c"), of("ab", "c"));
  EXPECT_NE(of("ab", "c"), of("a", "bc"));
  Hash one, two;
  one.number(1);
  two.number(2);
  EXPECT_NE(one.hex(), two.hex());
}

TEST(Hash, PiecesAreOneSequence) {
  Hash whole, pieces;
  whole.bytes("l2c data", 8);
  pieces.bytes("l2c ", 4);
  pieces.bytes("data", 4);
  EXPECT_EQ(whole.hex(), pieces.hex());
}

}  // namespace
