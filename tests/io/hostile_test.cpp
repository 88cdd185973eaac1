// Whatever is done to a file, the readers either succeed or throw InputError.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <random>
#include <string>

#include "l2c/core/error.h"
#include "l2c/io/checkpoint.h"
#include "l2c/io/npz.h"
#include "support/byte_files.h"
#include "support/golden.h"

namespace {

using l2c::test::read_bytes;
using l2c::test::scratch;
using l2c::test::write_bytes;

struct Tally {
  int read = 0;
  int refused = 0;
};

// Touches the last byte of each: it must lie within the file.
void touch(const at::Tensor& tensor) { at::isnan(tensor.to(at::kDouble)).any(); }

void read_all(const std::filesystem::path& path) {
  if (!l2c::io::looks_like_npz(path)) {
    const auto checkpoint = l2c::io::open_checkpoint(path);
    for (const auto& [name, tensor] : checkpoint.tensors) touch(tensor);
    return;
  }
  const auto file = l2c::io::NpzFile::open(path);
  for (const auto& name : file.names()) touch(file.tensor(name));
}

// Anything else than InputError ends the test as a failure.
void try_file(const std::filesystem::path& path, const std::string& bytes, Tally& tally) {
  std::filesystem::remove(path);  // ext4 flushes a file that is cut short and written again
  write_bytes(path, bytes);
  try {
    read_all(path);
    ++tally.read;
  } catch (const l2c::InputError& error) {
    EXPECT_NE(std::string(error.what()).find(path.string()), std::string::npos) << error.what();
    ++tally.refused;
  }
}

class Hostile : public testing::TestWithParam<const char*> {
 protected:
  std::filesystem::path path_ =
      scratch() / (std::string("file") + std::filesystem::path(GetParam()).extension().string());
  std::string good_ = read_bytes(l2c::test::data(GetParam()));
};

TEST_P(Hostile, EveryTruncationIsRefused) {
  Tally tally;
  const std::size_t step = std::max<std::size_t>(good_.size() / 150, 1);
  for (std::size_t size = 0; size < good_.size(); size += step) {
    try_file(path_, good_.substr(0, size), tally);
  }
  for (std::size_t cut = 1; cut <= 100; ++cut) {
    try_file(path_, good_.substr(0, good_.size() - cut), tally);
  }
  EXPECT_EQ(tally.read, 0);
  EXPECT_GE(tally.refused, 250);
}

TEST_P(Hostile, FlippedBytesNeverCrash) {
  std::mt19937 random(7);
  Tally tally;
  // The first part holds headers and the pickle program, the last the table of contents.
  const std::size_t part = std::min<std::size_t>(good_.size(), 6000);
  for (int i = 0; i < 300; ++i) {
    std::string bytes = good_;
    for (int flip = 0; flip < 1 + i % 3; ++flip) {
      const std::size_t offset = random() % part;
      bytes[i % 2 == 0 ? offset : bytes.size() - 1 - offset] = static_cast<char>(random());
    }
    try_file(path_, bytes, tally);
  }
  EXPECT_EQ(tally.read + tally.refused, 300);
  EXPECT_GT(tally.refused, 0);
}

INSTANTIATE_TEST_SUITE_P(Files, Hostile,
                         testing::Values("dit_tiny/weights.safetensors", "dit_tiny/state_dict.pt",
                                         "io/protocol4.pt", "io/torch_mix_legacy.pt",
                                         "io/torch_mix_deflated.pt", "io/stored.npz"));

// In both headers of every entry: 0 means that the writer left it out.
void drop_checksums(std::string& zip) {
  for (const char* mark : {"PK\1\2", "PK\3\4"}) {
    const std::size_t field = mark[2] == 1 ? 16 : 14;
    for (std::size_t entry = zip.find(mark); entry != zip.npos; entry = zip.find(mark, entry + 1)) {
      zip.replace(entry + field, 4, std::string(4, '\0'));
    }
  }
}

// With the checksums out of the way, flipped bytes reach the reader of an array's header.
TEST(HostileNpz, FlippedHeadersNeverCrash) {
  std::mt19937 random(13);
  Tally tally;
  std::string good = read_bytes(l2c::test::data("io/stored.npz"));
  drop_checksums(good);
  const auto path = scratch() / "file.npz";
  try_file(path, good, tally);
  ASSERT_EQ(tally.read, 1);
  const std::size_t header = good.find("\x93NUMPY");
  for (int i = 0; i < 1000; ++i) {
    std::string bytes = good;
    for (int flip = 0; flip < 1 + i % 4; ++flip) {
      bytes[header + random() % 128] = static_cast<char>(random());
    }
    try_file(path, bytes, tally);
  }
  EXPECT_EQ(tally.read + tally.refused, 1001);
  EXPECT_GT(tally.refused, 100);
}

// With the checksum out of the way, flipped bytes reach the pickle machine.
TEST(HostilePickle, FlippedProgramsNeverCrash) {
  std::mt19937 random(11);
  Tally tally;
  std::string good = read_bytes(l2c::test::data("l2c/router_random.pt"));
  drop_checksums(good);
  const auto path = scratch() / "file.pt";
  for (int i = 0; i < 1000; ++i) {
    std::string bytes = good;
    for (int flip = 0; flip < 1 + i % 4; ++flip) {
      bytes[64 + random() % 1800] = static_cast<char>(random());
    }
    try_file(path, bytes, tally);
  }
  EXPECT_EQ(tally.read + tally.refused, 1000);
}

}  // namespace
