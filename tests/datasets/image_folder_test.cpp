#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "l2c/core/error.h"
#include "l2c/core/log.h"
#include "l2c/datasets/dataset.h"
#include "l2c/io/png.h"
#include "l2c/io/safetensors.h"
#include "support/golden.h"
#include "support/idx_files.h"

namespace {

namespace fs = std::filesystem;
using l2c::DataBatch;
using l2c::DataOptions;
using l2c::InputError;
using l2c::open_data;
using l2c::io::Bitmap;
using l2c::io::SafetensorsFile;
using l2c::io::write_png;
using l2c::test::data;
using l2c::test::expect_equal;
using l2c::test::scratch;
using l2c::test::write_file;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

// Collects warnings while it lives.
class Warnings {
 public:
  Warnings() {
    l2c::set_log_handler([this](l2c::LogLevel level, std::string_view message) {
      if (level == l2c::LogLevel::warning) messages.emplace_back(message);
    });
  }
  ~Warnings() { l2c::set_log_handler({}); }
  Warnings(const Warnings&) = delete;
  Warnings& operator=(const Warnings&) = delete;
  std::vector<std::string> messages;
};

Bitmap plain(int width, int height, std::uint8_t value) {
  Bitmap bitmap{.width = width, .height = height, .channels = 1, .pixels = {}};
  bitmap.pixels.assign(static_cast<std::size_t>(width * height), value);
  return bitmap;
}

void add_image(const fs::path& path, std::uint8_t value, int size = 4) {
  fs::create_directories(path.parent_path());
  write_png(path, plain(size, size, value));
}

// Class a: levels 10, 20; class b: 30.
fs::path two_classes() {
  const fs::path folder = scratch();
  add_image(folder / "b/one.png", 30);
  add_image(folder / "a/two.PNG", 20);
  add_image(folder / "a/one.png", 10);
  return folder;
}

at::Tensor levels(const DataBatch& batch) {
  return batch.x.add(1).mul(127.5).round().to(at::kByte);
}

class PillowCrop : public testing::TestWithParam<int> {};

// The images of tests/data/datasets/folder cropped by DiT's center_crop_arr with Pillow.
TEST_P(PillowCrop, EveryFile) {
  const auto golden = SafetensorsFile::open(data("datasets/golden.safetensors"));
  const auto images = open_data(data("datasets/folder"), {.image_size = GetParam()});
  ASSERT_EQ(images->info().size, 10);
  EXPECT_THAT(images->info().class_names, ElementsAre("boots", "coats"));
  std::vector<std::int64_t> numbers(10);
  std::iota(numbers.begin(), numbers.end(), 0);
  const DataBatch batch = images->batch(numbers);
  expect_equal(batch.y, at::tensor({0, 0, 0, 1, 1, 1, 1, 1, 1, 1}, at::kLong), "labels");
  std::int64_t number = 0;
  for (const std::string& name : golden.names()) {
    const std::string prefix = std::to_string(GetParam()) + "/";
    if (!name.starts_with(prefix)) continue;
    const at::Tensor expected = golden.tensor(name).to(at::kInt);
    const at::Tensor actual = levels(batch)[number++].to(at::kInt);
    l2c::test::expect_close(actual, expected, 0, "Pillow's crop to " + std::to_string(GetParam()));
  }
  EXPECT_EQ(number, 10);
}

INSTANTIATE_TEST_SUITE_P(Sizes, PillowCrop, testing::Values(16, 24, 32, 80));

TEST(ImageFolder, SortsClassesAndFiles) {
  const fs::path folder = two_classes();
  const auto images = open_data(folder);
  EXPECT_EQ(images->info().num_classes, 2);
  EXPECT_EQ(images->info().channels, 3);
  EXPECT_EQ(images->info().image_size, 4);
  EXPECT_THAT(images->info().class_names, ElementsAre("a", "b"));
  EXPECT_EQ(images->info().description, "3 images in 2 classes, of 4 x 4, from " + folder.string());
  const DataBatch batch = images->batch({2, 0, 1, 0});
  expect_equal(batch.y, at::tensor({1, 0, 0, 0}, at::kLong), "labels");
  const at::Tensor expected = at::tensor({30, 10, 20, 10}, at::kByte).view({4, 1, 1, 1});
  expect_equal(levels(batch), expected.expand({4, 3, 4, 4}), "pixels");
  EXPECT_THAT([&] { images->batch({3}); }, ThrowsMessage<InputError>(HasSubstr("no example 3")));
}

TEST(ImageFolder, ChannelsAreConverted) {
  const auto gray = open_data(data("datasets/folder"), {.image_size = 8, .channels = 1});
  EXPECT_EQ(gray->info().channels, 1);
  const auto rgb = open_data(data("datasets/folder"), {.image_size = 8, .channels = 3});
  const at::Tensor colours = rgb->batch({0}).x[0];
  const at::Tensor luma = colours[0] * 0.299 + colours[1] * 0.587 + colours[2] * 0.114;
  // Rounded before the filters rather than after: a few levels of 127.5.
  EXPECT_LT((gray->batch({0}).x[0][0] - luma).abs().max().item<float>(), 3 / 127.5);
}

TEST(ImageFolder, FingerprintIsOfNamesSizesAndOptions) {
  const fs::path folder = two_classes();
  const auto of = [](const fs::path& path, const DataOptions& options = {}) {
    return open_data(path, options)->info().fingerprint;
  };
  const std::string first = of(folder);
  EXPECT_EQ(first.size(), 32U);
  EXPECT_EQ(of(folder), first);
  EXPECT_EQ(of(two_classes()), first) << "the place of the folder does not matter";
  EXPECT_NE(of(folder, {.image_size = 4}), of(folder, {.image_size = 5}));
  EXPECT_NE(of(folder, {.channels = 1}), first);
  fs::rename(folder / "b/one.png", folder / "b/other.png");
  EXPECT_NE(of(folder), first);
  fs::rename(folder / "b/other.png", folder / "b/one.png");
  add_image(folder / "b/one.png", 30, 40);
  EXPECT_NE(of(folder), first);
}

TEST(ImageFolder, UnlikeSizesNeedAnImageSize) {
  const fs::path folder = two_classes();
  add_image(folder / "b/two.png", 40, 6);
  const auto images = open_data(folder);
  images->batch({0, 1, 2});
  EXPECT_THAT([&] { images->batch({0, 3}); },
              ThrowsMessage<InputError>(AllOf(HasSubstr((folder / "b/two.png").string()),
                                              HasSubstr("has 6 x 6 pixels, the first"),
                                              HasSubstr("give an image size"))));
  EXPECT_EQ(open_data(folder, {.image_size = 5})->batch({3}).x.size(3), 5);
  write_png(folder / "a/one.png", plain(4, 5, 0));
  EXPECT_THAT([&] { open_data(folder); },
              ThrowsMessage<InputError>(HasSubstr("has 4 x 5 pixels; give an image size")));
}

// One pixel wide: scaled to 64 it would be 3 million pixels long, of which 64 are wanted.
TEST(ImageFolder, CropsVeryLongImages) {
  const fs::path folder = scratch();
  fs::create_directory(folder / "a");
  write_png(folder / "a/tall.png", plain(1, 50000, 90));
  write_png(folder / "a/wide.png", plain(50000, 1, 90));
  const DataBatch batch = open_data(folder, {.image_size = 64})->batch({0, 1});
  EXPECT_TRUE((levels(batch) == 90).all().item<bool>());
  EXPECT_THAT([&] { open_data(folder, {.image_size = 20000}); },
              ThrowsMessage<InputError>(HasSubstr("an image size of 20000; give 1 ... 16384")));
}

TEST(ImageFolder, NamesTheFileThatCannotBeDecoded) {
  const fs::path folder = two_classes();
  write_file(folder / "a/three.jpg", "no image");
  const auto images = open_data(folder);
  EXPECT_EQ(images->info().size, 4);
  images->batch({0, 2});
  EXPECT_THAT([&] { images->batch({0, 1, 2, 3}); },
              ThrowsMessage<InputError>(AllOf(HasSubstr((folder / "a/three.jpg").string()),
                                              HasSubstr("neither a PNG nor a JPEG"))));
}

TEST(ImageFolder, OneWarningForWhatIsNoImage) {
  const fs::path folder = two_classes();
  write_file(folder / "README.md", "about");
  write_file(folder / "a/notes.txt", "about");
  write_file(folder / "a/.DS_Store", "hidden");
  fs::create_directory(folder / ".git");
  fs::create_directory(folder / "a/more.png");
  const Warnings warnings;
  EXPECT_EQ(open_data(folder)->info().size, 3);
  ASSERT_EQ(warnings.messages.size(), 1U);
  EXPECT_THAT(warnings.messages[0], AllOf(HasSubstr("3 entries"), HasSubstr("README.md")));
}

TEST(ImageFolder, LinksInCirclesDoNotTrapIt) {
  const fs::path folder = two_classes();
  fs::create_symlink("loop.png", folder / "a/loop.png");
  fs::create_symlink("loop", folder / "loop");
  fs::create_symlink("nowhere.png", folder / "b/gone.png");
  const Warnings warnings;
  EXPECT_EQ(open_data(folder)->info().size, 3);
  ASSERT_EQ(warnings.messages.size(), 1U);
  EXPECT_THAT(warnings.messages[0], HasSubstr("3 entries"));
  // Links that lead to a folder or a file count as these.
  fs::create_directory_symlink(folder / "b", folder / "c");
  EXPECT_EQ(open_data(folder)->info().num_classes, 3);
  // A link to the folder itself is a class without images, not an endless walk.
  fs::create_directory_symlink(".", folder / "d");
  EXPECT_THAT([&] { open_data(folder); },
              ThrowsMessage<InputError>(HasSubstr((folder / "d").string())));
}

TEST(ImageFolder, RefusesFoldersWithoutImages) {
  const fs::path folder = two_classes();
  fs::create_directory(folder / "empty");
  EXPECT_THAT([&] { open_data(folder); },
              ThrowsMessage<InputError>(AllOf(HasSubstr((folder / "empty").string()),
                                              HasSubstr("holds no PNG or JPEG file"),
                                              HasSubstr("remove it"))));
  const fs::path outer = scratch();
  fs::create_directory(outer / "train");
  fs::rename(two_classes(), outer / "train/x");
  EXPECT_THAT([&] { open_data(outer); },
              ThrowsMessage<InputError>(
                  HasSubstr("name '" + (outer / "train").string() + "' as the data set")));
  const fs::path none = scratch();
  EXPECT_THAT([&] { open_data(none); },
              ThrowsMessage<InputError>(AllOf(HasSubstr(none.string()), HasSubstr("holds no data"),
                                              HasSubstr("one subfolder with PNG or JPEG"))));
  add_image(none / "image.png", 0);
  EXPECT_THAT([&] { open_data(none); }, ThrowsMessage<InputError>(HasSubstr("but images;")));
}

TEST(ImageFolder, HasNoTestPart) {
  const fs::path folder = two_classes();
  EXPECT_EQ(open_data(folder, {.split = "test or all"})->info().fingerprint,
            open_data(folder)->info().fingerprint);
  EXPECT_THAT(
      [&] { open_data(folder, {.split = "test"}); },
      ThrowsMessage<InputError>(AllOf(HasSubstr(folder.string()), HasSubstr("has no test part"))));
}

TEST(ImageFolder, ServesManyThreads) {
  const auto images = open_data(data("datasets/folder"), {.image_size = 16});
  const at::Tensor expected = images->batch({0, 1, 2, 3, 4, 5, 6, 7, 8, 9}).x;
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (std::int64_t i = 0; i < 20; ++i) {
        const std::int64_t n = (i * 3 + static_cast<std::int64_t>(t)) % 10;
        if (!at::equal(images->batch({n}).x[0], expected[n])) ++wrong[t];
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(wrong, testing::Each(0));
}

}  // namespace
