#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "l2c/core/error.h"
#include "l2c/datasets/dataset.h"
#include "l2c/io/npz.h"
#include "l2c/io/png.h"
#include "support/golden.h"

namespace l2c {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

fs::path file_of(const at::Tensor& images, const at::Tensor& labels = {}) {
  const auto path = test::scratch() / "batch.npz";
  io::NpzWriter file(path);
  file.add("arr_0", images);
  if (labels.defined()) file.add("arr_1", labels);
  file.commit();
  return path;
}

at::Tensor images(std::int64_t count) {
  return at::arange(count * 4 * 4 * 3).remainder(251).to(at::kByte).reshape({count, 4, 4, 3});
}

TEST(NpzData, HoldsImagesAndLabels) {
  const auto labels = at::tensor({2, 0, 1}, at::kLong);
  const auto data = open_data(file_of(images(3), labels), {.image_size = 4, .channels = 3});
  EXPECT_EQ(data->info().size, 3);
  EXPECT_EQ(data->info().channels, 3);
  EXPECT_EQ(data->info().image_size, 4);
  EXPECT_EQ(data->info().num_classes, 3);
  const auto batch = data->batch({2, 0});
  const auto expected = images(3).index_select(0, at::tensor({2, 0})).permute({0, 3, 1, 2});
  test::expect_equal(batch.x, expected.to(at::kFloat).div(127.5F).sub(1.0F), "pixels");
  test::expect_equal(batch.y, at::tensor({1, 2}, at::kLong), "labels");
}

TEST(NpzData, HasTheFingerprintOfEqualDataInMemory) {
  const auto labels = at::zeros({2000}, at::kLong);  // more than one chunk
  const auto data = open_data(file_of(images(2000)));
  EXPECT_EQ(data->info().num_classes, 1);
  const auto same = tensor_data(images(2000).permute({0, 3, 1, 2}).contiguous(), labels, 1, "same");
  EXPECT_EQ(data->info().fingerprint, same->info().fingerprint);
}

TEST(NpzData, RefusesOtherArrays) {
  const auto opening = [](const fs::path& path, const DataOptions& options = {}) {
    return [=] { (void)open_data(path, options); };
  };
  EXPECT_THAT(opening(file_of(at::ones({2, 4, 4, 3}))),
              ThrowsMessage<InputError>(AllOf(
                  HasSubstr("batch.npz"), HasSubstr("Float [2, 4, 4, 3]"), HasSubstr("uint8"))));
  EXPECT_THAT(opening(file_of(at::zeros({2, 3, 4, 4}, at::kByte))),
              ThrowsMessage<InputError>(HasSubstr("[N, S, S, 1 or 3]")));
  EXPECT_THAT(opening(file_of(images(2)), {.image_size = 8}),
              ThrowsMessage<InputError>(HasSubstr("8 x 8 were asked for")));
  EXPECT_THAT(opening(file_of(images(2), at::zeros({3}, at::kLong))),
              ThrowsMessage<InputError>(HasSubstr("2 images, but 3 labels")));
}

TEST(ImageFolderWithoutClasses, IsOneClassWhereThatIsAllowed) {
  const auto folder = test::scratch();
  for (const char* name : {"a.png", "b.png"}) {
    io::Bitmap bitmap{.width = 4, .height = 4, .channels = 1, .pixels = {}};
    bitmap.pixels.assign(16, name[0] == 'a' ? 10 : 20);
    io::write_png(folder / name, bitmap);
  }
  EXPECT_THAT([&] { (void)open_data(folder); }, ThrowsMessage<InputError>(HasSubstr("no data")));
  const auto data = open_data(folder, {.channels = 1, .need_classes = false});
  EXPECT_EQ(data->info().size, 2);
  EXPECT_EQ(data->info().num_classes, 1);
  EXPECT_EQ(data->batch({1}).x[0][0][0][0].item<float>(), 20 / 127.5F - 1);
  const auto empty = test::scratch();
  EXPECT_THAT([&] { (void)open_data(empty, {.need_classes = false}); },
              ThrowsMessage<InputError>(HasSubstr("no data")));
}

TEST(ImageFolderWithoutClasses, RefusesImagesBesideAFolder) {
  const auto folder = test::scratch();
  io::Bitmap bitmap{.width = 4, .height = 4, .channels = 1, .pixels = {}};
  bitmap.pixels.assign(16, 10);
  fs::create_directory(folder / "thumbs");
  for (const char* name : {"a.png", "b.png", "thumbs/a.png"}) {
    io::write_png(folder / name, bitmap);
  }
  EXPECT_THAT(
      [&] { (void)open_data(folder, {.channels = 1, .need_classes = false}); },
      ThrowsMessage<InputError>(AllOf(HasSubstr(folder.string()), HasSubstr("holds 2 images"),
                                      HasSubstr("the first is 'thumbs'"))));
  // Where classes are needed, the folders are what counts; a hidden one never does.
  EXPECT_EQ(open_data(folder, {.channels = 1})->info().size, 1);
  fs::rename(folder / "thumbs", folder / ".thumbs");
  EXPECT_EQ(open_data(folder, {.channels = 1, .need_classes = false})->info().size, 2);
}

}  // namespace
}  // namespace l2c
