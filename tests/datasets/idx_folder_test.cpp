#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "l2c/core/error.h"
#include "l2c/datasets/dataset.h"
#include "support/golden.h"
#include "support/idx_files.h"

namespace {

namespace fs = std::filesystem;
using l2c::DataBatch;
using l2c::DataOptions;
using l2c::InputError;
using l2c::open_data;
using l2c::test::expect_equal;
using l2c::test::gzip_bytes;
using l2c::test::idx_bytes;
using l2c::test::scratch;
using l2c::test::write_file;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

// Two parts of 2 x 2 images: 3 and 1.
fs::path small_folder(bool packed) {
  const fs::path folder = scratch();
  const auto write = [&](const std::string& name, const std::string& bytes) {
    write_file(folder / (name + (packed ? ".gz" : "")), packed ? gzip_bytes(bytes) : bytes);
  };
  write("train-images-idx3-ubyte", idx_bytes(0x08, {3, 2, 2},
                                             std::string("\x00\x33\x66\xff"
                                                         "\x01\x02\x03\x04"
                                                         "\xff\xff\xff\xff",
                                                         12)));
  write("train-labels-idx1-ubyte", idx_bytes(0x08, {3}, std::string("\x02\x00\x01", 3)));
  write("t10k-images-idx3-ubyte", idx_bytes(0x08, {1, 2, 2}, "\x05\x06\x07\x08"));
  write("t10k-labels-idx1-ubyte", idx_bytes(0x08, {1}, "\x03"));
  return folder;
}

TEST(IdxFolder, GivesBatchesInTheAskedOrder) {
  const auto data = open_data(small_folder(false));
  EXPECT_EQ(data->info().size, 3);
  EXPECT_EQ(data->info().channels, 1);
  EXPECT_EQ(data->info().image_size, 2);
  EXPECT_EQ(data->info().num_classes, 4) << "the test part's labels count, too";
  EXPECT_THAT(data->info().description, HasSubstr("3 images of 2 x 2, from "));
  const DataBatch batch = data->batch({2, 0, 2});
  expect_equal(batch.y, at::tensor({1, 2, 1}, at::kLong), "labels");
  const at::Tensor first = at::tensor({-1.0, -0.6, -0.2, 1.0}, at::kFloat).view({1, 1, 2, 2});
  const at::Tensor white = at::ones({1, 1, 2, 2});
  EXPECT_TRUE(at::allclose(batch.x, at::cat({white, first, white}), 0, 1e-6)) << batch.x;
  EXPECT_EQ(batch.x.scalar_type(), at::kFloat);
  EXPECT_EQ(data->batch({}).x.sizes(), (std::vector<std::int64_t>{0, 1, 2, 2}));
}

TEST(IdxFolder, PackedAndPlainFilesAreTheSameData) {
  const auto plain = open_data(small_folder(false));
  const auto packed = open_data(small_folder(true));
  EXPECT_EQ(plain->info().fingerprint, packed->info().fingerprint);
  EXPECT_EQ(plain->info().fingerprint.size(), 32U);
  expect_equal(plain->batch({0, 1, 2}).x, packed->batch({0, 1, 2}).x, "pixels");
}

TEST(IdxFolder, SplitChoosesThePart) {
  const fs::path folder = small_folder(true);
  const auto test = open_data(folder, {.split = "test"});
  EXPECT_EQ(open_data(folder, {.split = "test or all"})->info().fingerprint,
            test->info().fingerprint);
  EXPECT_EQ(test->info().size, 1);
  EXPECT_EQ(test->info().num_classes, 4);
  EXPECT_NE(test->info().fingerprint, open_data(folder)->info().fingerprint);
  expect_equal(test->batch({0}).y, at::tensor({3}, at::kLong), "labels");
  EXPECT_THAT([&] { open_data(folder, {.split = "valid"}); },
              ThrowsMessage<InputError>(AllOf(HasSubstr("no part 'valid'"), HasSubstr("'test'"))));
}

TEST(IdxFolder, RefusesOptionsThatItCannotMeet) {
  const fs::path folder = small_folder(false);
  EXPECT_EQ(open_data(folder, {.image_size = 2, .channels = 1})->info().size, 3);
  EXPECT_THAT([&] { open_data(folder, {.image_size = 32}); },
              ThrowsMessage<InputError>(HasSubstr("images of 2 x 2, 32 x 32 were asked for")));
  EXPECT_THAT([&] { open_data(folder, {.channels = 3}); },
              ThrowsMessage<InputError>(HasSubstr("images of 1 channels, 3 were asked for")));
  EXPECT_THAT([&] { open_data(folder, {.channels = 2}); },
              ThrowsMessage<InputError>(HasSubstr("2 channels; give 1 (gray), 3 (RGB)")));
  EXPECT_THAT([&] { open_data(folder, {.image_size = -1}); },
              ThrowsMessage<InputError>(HasSubstr("an image size of -1")));
}

TEST(IdxFolder, RefusesNumbersOutside) {
  const auto data = open_data(small_folder(false));
  EXPECT_THAT([&] { data->batch({0, 3}); },
              ThrowsMessage<InputError>(AllOf(HasSubstr("no example 3"), HasSubstr("0 ... 2"))));
  EXPECT_THAT([&] { data->batch({-1}); }, ThrowsMessage<InputError>(HasSubstr("no example -1")));
}

TEST(IdxFolder, NamesWhatIsMissingOrDoesNotFit) {
  fs::path folder = small_folder(false);
  EXPECT_THAT([&] { open_data(folder / "train-images-idx3-ubyte"); },
              ThrowsMessage<InputError>(HasSubstr("name its folder '" + folder.string() + "'")));
  fs::remove(folder / "train-labels-idx1-ubyte");
  EXPECT_THAT([&] { open_data(folder); },
              ThrowsMessage<InputError>(HasSubstr("neither 'train-labels-idx1-ubyte' nor")));
  write_file(folder / "train-labels-idx1-ubyte", idx_bytes(0x08, {2}, "\x01\x01"));
  EXPECT_THAT(
      [&] { open_data(folder); },
      ThrowsMessage<InputError>(AllOf(HasSubstr("has 3 images"), HasSubstr("has 2 labels"))));
  write_file(folder / "train-labels-idx1-ubyte", idx_bytes(0x09, {3}, "\x01\x01\x01"));
  EXPECT_THAT([&] { open_data(folder); },
              ThrowsMessage<InputError>(HasSubstr("uint8 of rank 1 is expected")));
  folder = small_folder(false);
  write_file(folder / "train-images-idx3-ubyte", idx_bytes(0x08, {3, 1, 2}, "abcdef"));
  EXPECT_THAT([&] { open_data(folder); },
              ThrowsMessage<InputError>(HasSubstr("images are 1 x 2; crop or pad")));
  write_file(folder / "train-images-idx3-ubyte", idx_bytes(0x08, {0, 2, 2}, ""));
  write_file(folder / "train-labels-idx1-ubyte", idx_bytes(0x08, {0}, ""));
  EXPECT_THAT([&] { open_data(folder); }, ThrowsMessage<InputError>(HasSubstr("it is empty")));
}

// Debian's package dataset-fashion-mnist.
fs::path fashion_folder() { return "/usr/share/datasets/fashion-mnist"; }

TEST(FashionMnist, FirstImagesAndLabels) {
  if (!fs::exists(fashion_folder())) GTEST_SKIP() << fashion_folder() << " is not installed";
  const auto train = open_data(fashion_folder());
  EXPECT_EQ(train->info().size, 60000);
  EXPECT_EQ(train->info().image_size, 28);
  EXPECT_EQ(train->info().num_classes, 10);
  const DataBatch batch = train->batch({0, 1, 2, 3, 59999});
  expect_equal(batch.y, at::tensor({9, 0, 0, 3, 5}, at::kLong), "labels");
  // Row 5 of the first image, the ankle boot, read from the file with zcat and od.
  const at::Tensor row = ((batch.x[0][0][5] + 1) * 127.5).round().to(at::kByte);
  expect_equal(row.slice(0, 12, 22),
               at::tensor({6, 0, 102, 204, 176, 134, 144, 123, 23, 0}, at::kByte), "pixels");
  const auto test = open_data(fashion_folder(), {.split = "test"});
  EXPECT_EQ(test->info().size, 10000);
  expect_equal(test->batch({0, 1}).y, at::tensor({9, 2}, at::kLong), "labels of the test part");
}

}  // namespace
