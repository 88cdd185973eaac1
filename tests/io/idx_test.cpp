#include "l2c/io/idx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "l2c/core/error.h"
#include "support/golden.h"
#include "support/idx_files.h"

namespace {

using l2c::InputError;
using l2c::io::read_idx;
using l2c::test::expect_equal;
using l2c::test::gzip_bytes;
using l2c::test::idx_bytes;
using l2c::test::scratch;
using l2c::test::write_file;
using testing::HasSubstr;
using testing::ThrowsMessage;

using Bytes = std::string;

at::Tensor read(const Bytes& bytes) {
  const auto path = scratch() / "values.idx";
  write_file(path, bytes);
  return read_idx(path);
}

void expect_refused(const Bytes& bytes, const std::string& message) {
  const auto path = scratch() / "values.idx";
  write_file(path, bytes);
  EXPECT_THAT([&] { read_idx(path); }, ThrowsMessage<InputError>(testing::AllOf(
                                           HasSubstr(path.string()), HasSubstr(message))));
}

TEST(Idx, ReadsEveryElementType) {
  const Bytes two = Bytes("\x00\x02", 2);
  expect_equal(read(idx_bytes(0x08, {2}, "\xff\x01")), at::tensor({255, 1}, at::kByte), "uint8");
  expect_equal(read(idx_bytes(0x09, {2}, "\xff\x01")), at::tensor({-1, 1}, at::kChar), "int8");
  expect_equal(read(idx_bytes(0x0B, {2}, "\x01\x02\xff\xfe")), at::tensor({258, -2}, at::kShort),
               "int16");
  expect_equal(read(idx_bytes(0x0C, {1}, "\x01\x02\x03\x04")), at::tensor({0x01020304}, at::kInt),
               "int32");
  expect_equal(read(idx_bytes(0x0D, {1}, Bytes("\xc0\x20\x00\x00", 4))),
               at::tensor({-2.5}, at::kFloat), "float");
  expect_equal(read(idx_bytes(0x0E, {1}, Bytes("\xc0\x04\x00\x00\x00\x00\x00\x00", 8))),
               at::tensor({-2.5}, at::kDouble), "double");
  EXPECT_EQ(read(idx_bytes(0x0B, {1}, two)).scalar_type(), at::kShort);
}

TEST(Idx, KeepsRankAndOrder) {
  const at::Tensor values = read(idx_bytes(0x08, {2, 1, 3}, Bytes("\x00\x01\x02\x03\x04\x05", 6)));
  expect_equal(values, at::arange(6, at::kByte).view({2, 1, 3}), "rank 3");
  EXPECT_EQ(read(idx_bytes(0x08, {3, 0, 2}, "")).sizes(), (std::vector<std::int64_t>{3, 0, 2}));
}

TEST(Idx, ReadsGzipByContent) {
  const Bytes pixels(300000, '\x07');
  const Bytes plain = idx_bytes(0x08, {300, 1000}, pixels);
  expect_equal(read(gzip_bytes(plain)), read(plain), "gzip");
  // gzip joins members as `cat a.gz b.gz` does.
  const auto half = plain.size() / 2;
  expect_equal(read(gzip_bytes(plain.substr(0, half)) + gzip_bytes(plain.substr(half))),
               read(plain), "two members");
}

TEST(Idx, RefusesOtherFiles) {
  expect_refused("", "it has 0 bytes, too few for a header");
  expect_refused("PK\x03\x04", "it begins with the bytes 50 4b 03 04");
  expect_refused(idx_bytes(0x0A, {1}, "a"), "it begins with the bytes 00 00 0a 01");
  expect_refused(idx_bytes(0x08, {}, "a"), "a rank of 1 or more");
  expect_refused(Bytes("\x00\x00\x08\x02\x00\x00\x00\x01", 8),
                 "ends within its header of 12 bytes");
  EXPECT_THAT([] { read_idx("/nowhere/train-images-idx3-ubyte"); },
              ThrowsMessage<InputError>(HasSubstr("No such file")));
}

TEST(Idx, RefusesSizesThatTheFileDoesNotHave) {
  expect_refused(idx_bytes(0x08, {3}, "ab"), "asks for 3 values of 1 bytes, but only 2 are there");
  expect_refused(idx_bytes(0x08, {1}, "ab"), "more bytes follow the 1 values");
  expect_refused(idx_bytes(0x08, {0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}, "ab"),
                 "more than the 4 GiB");
  expect_refused(idx_bytes(0x08, {0, 0xFFFFFFFF, 0xFFFFFFFF}, ""), "more than the 4 GiB");
  expect_refused(idx_bytes(0x0E, {1U << 29, 1}, "ab"), "but only 2 are there");
  // Gzip cannot grow this far: refused before memory is taken.
  expect_refused(gzip_bytes(idx_bytes(0x08, {0xF0000000}, "ab")), "at most");
}

TEST(Idx, RefusesDamagedGzip) {
  const Bytes content(5000, 'x');
  const Bytes good = gzip_bytes(idx_bytes(0x08, {5000}, content));
  expect_refused(good.substr(0, good.size() - 9), "ends too early");
  expect_refused(good.substr(0, good.size() - 1), "ends too early");
  expect_refused(good.substr(0, 5), "ends too early");
  Bytes checksum = good;
  checksum[good.size() - 8] ^= 1;
  expect_refused(checksum, "incorrect data check");
  Bytes length = good;
  length[good.size() - 4] ^= 1;
  expect_refused(length, "incorrect length check");
  expect_refused(good + "tail", "incorrect header check");
  expect_refused(gzip_bytes(idx_bytes(0x08, {6000}, content)),
                 "truncated: 6000 values need 6000 bytes, 5000 are there");
  expect_refused(gzip_bytes(idx_bytes(0x08, {4000}, content)), "more bytes follow the 4000 values");
}

// A gzip bomb: a small header, then as much as gzip can pack. Inflating stops with the header's
// size.
TEST(Idx, StopsInflatingBehindTheValues) {
  const Bytes bomb = gzip_bytes(idx_bytes(0x08, {10}, Bytes(std::size_t{64} << 20, '\0')));
  expect_refused(bomb, "more bytes follow the 10 values");
}

}  // namespace
