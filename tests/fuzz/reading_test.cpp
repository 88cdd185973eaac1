// A target that could not notice anything would never find anything.
#include "reading.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "l2c/core/error.h"
#include "support/byte_files.h"
#include "support/messages.h"

namespace l2c::fuzz {
namespace {

using test::message_of;

TEST(FuzzReading, TheFileHoldsTheLastBytes) {
  const std::vector<std::uint8_t> first{'a', 'b', 'c'}, second{'x'};
  const auto& path = file_of(first);
  EXPECT_EQ(test::read_bytes(path), "abc");
  EXPECT_EQ(file_of(second), path);
  EXPECT_EQ(test::read_bytes(path), "x");
  (void)file_of({});
  EXPECT_EQ(test::read_bytes(path), "");
}

TEST(FuzzReading, OtherNamesNameTheSameFile) {
  const std::vector<std::uint8_t> bytes{'{', '}'};
  (void)file_of(bytes);
  const auto path = also_called("folder/name.json");
  EXPECT_EQ(path.filename(), "name.json");
  EXPECT_EQ(test::read_bytes(path), "{}");
  EXPECT_EQ(also_called("folder/name.json"), path);
}

TEST(FuzzReading, OnlyAGoodInputErrorIsAnAnswer) {
  EXPECT_TRUE(accepted("f.pt", [] {}));
  EXPECT_FALSE(accepted("f.pt", [] { throw InputError("'f.pt' is damaged"); }));
  EXPECT_EQ(message_of<std::logic_error>(
                [] { accepted("f.pt", [] { throw InputError("'g.pt' is damaged"); }); }),
            "an error's message does not name the file");
  EXPECT_EQ(message_of<std::logic_error>([] {
              accepted("f.pt", [] { throw InputError("'f.pt' " + std::string(2000, 'x')); });
            }),
            "an error's message is too long to be read");
  EXPECT_EQ(message_of<std::logic_error>(
                [] { accepted("f.pt", [] { throw InputError("'f.pt' has \x1b[2J"); }); }),
            "an error's message would steer a terminal");
}

TEST(FuzzReading, OtherExceptionsPass) {
  EXPECT_THROW(accepted("", [] { throw RunError("no disk"); }), RunError);
  EXPECT_THROW(accepted("", [] { throw std::bad_alloc(); }), std::bad_alloc);
  EXPECT_THROW(accepted("", [] { TORCH_CHECK(false, "of LibTorch"); }), c10::Error);
  EXPECT_EQ(message_of<std::logic_error>([] { require(1 > 2, "1 > 2"); }), "1 > 2");
}

// A page that nobody may read lies behind the tensor's last byte.
TEST(FuzzReadingDeathTest, TouchReadsWhatTheShapeSays) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  std::vector<std::uint8_t> bytes(4, 1);
  touch(at::from_blob(bytes.data(), {4}, at::kByte));
  touch(at::from_blob(bytes.data(), {1 << 20, 1 << 20}, {0, 0}, at::kByte));
  touch(at::empty({0, 3}));
  auto* far = reinterpret_cast<std::uint8_t*>(std::uintptr_t{64});
  EXPECT_DEATH(touch(at::from_blob(far, {4}, at::kByte)), "");
  EXPECT_DEATH(touch(at::from_blob(far, {1 << 20, 4}, {0, 1}, at::kByte)), "");
}

}  // namespace
}  // namespace l2c::fuzz
