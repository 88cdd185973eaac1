#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "l2c/core/error.h"
#include "l2c/datasets/dataset.h"
#include "l2c/io/safetensors.h"
#include "support/golden.h"

namespace {

namespace fs = std::filesystem;
using l2c::InputError;
using l2c::open_data;
using l2c::tensor_data;
using l2c::io::TensorMap;
using l2c::io::write_safetensors;
using l2c::test::expect_equal;
using l2c::test::scratch;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

at::Tensor some_images() { return at::arange(24, at::kByte).mul_(10).view({2, 3, 2, 2}); }
at::Tensor some_labels() { return at::tensor({1, 0}, at::kLong); }

template <typename Call>
void expect_refused(Call call, const std::string& message) {
  EXPECT_THAT(call, ThrowsMessage<InputError>(HasSubstr(message)));
}

TEST(TensorData, Uint8BecomesMinusOneToOne) {
  const auto data = tensor_data(some_images(), some_labels(), 5, "two pictures");
  EXPECT_EQ(data->info().description, "two pictures");
  EXPECT_EQ(data->info().size, 2);
  EXPECT_EQ(data->info().channels, 3);
  EXPECT_EQ(data->info().image_size, 2);
  EXPECT_EQ(data->info().num_classes, 5);
  EXPECT_TRUE(data->info().class_names.empty());
  const auto batch = data->batch({1, 0});
  const at::Tensor expected = some_images().to(at::kDouble).div(127.5).sub(1).flip(0);
  l2c::test::expect_close(batch.x, expected, 1e-6, "v / 127.5 - 1");
  expect_equal(batch.y, at::tensor({0, 1}, at::kLong), "labels");
}

TEST(TensorData, FloatingValuesStayAsTheyAre) {
  const at::Tensor latents = at::linspace(-9, 9, 24).view({2, 3, 2, 2});
  for (const auto type : {at::kFloat, at::kHalf, at::kBFloat16, at::kDouble}) {
    const auto batch = tensor_data(latents.to(type), some_labels(), 2, "latents")->batch({0, 1});
    EXPECT_EQ(batch.x.scalar_type(), at::kFloat);
    expect_equal(batch.x, latents.to(type).to(at::kFloat), "values");
  }
}

TEST(TensorData, IsACopy) {
  at::Tensor images = some_images();
  const auto data = tensor_data(images, some_labels().to(at::kInt), 2, "x");
  const at::Tensor before = data->batch({0}).x;
  images.fill_(255);
  data->batch({0}).x.fill_(7);
  expect_equal(data->batch({0}).x, before, "values");
  // A dimension of stride 2, and labels of another type.
  const at::Tensor wide = some_images().repeat_interleave(2, 3).slice(3, 0, 4, 2);
  const auto same = tensor_data(wide, some_labels(), 2, "another name");
  EXPECT_EQ(same->info().fingerprint, data->info().fingerprint);
}

TEST(TensorData, FingerprintTellsContentApart) {
  const auto of = [](const at::Tensor& x, const at::Tensor& y, int classes) {
    return tensor_data(x, y, classes, "x")->info().fingerprint;
  };
  const std::string one = of(some_images(), some_labels(), 2);
  at::Tensor other = some_images();
  other[1][2][1][1] = 1;
  EXPECT_NE(of(other, some_labels(), 2), one);
  EXPECT_NE(of(some_images(), at::tensor({1, 1}, at::kLong), 2), one);
  EXPECT_NE(of(some_images(), some_labels(), 3), one);
  EXPECT_NE(of(some_images().view({2, 12, 1, 1}), some_labels(), 2), one);
}

TEST(TensorData, RefusesWhatIsNoData) {
  const at::Tensor x = some_images(), y = some_labels();
  const auto call = [](const at::Tensor& images, const at::Tensor& labels, int classes) {
    return [=] { tensor_data(images, labels, classes, "my pictures"); };
  };
  expect_refused(call(x[0], y, 2), "'my pictures' cannot be used as a data set");
  expect_refused(call(x[0], y, 2), "have the shape [3, 2, 2], [N, C, S, S] is expected");
  expect_refused(call(at::Tensor(), y, 2), "[N, C, S, S] is expected");
  expect_refused(call(x.to(at::kLong), y, 2), "images are of dtype Long");
  expect_refused(call(x.slice(2, 0, 1), y, 2), "images are 1 x 2");
  expect_refused(call(x.slice(0, 0, 0), y.slice(0, 0, 0), 2), "it is empty");
  expect_refused(call(x, at::Tensor(), 2), "labels are missing");
  expect_refused(call(x, y.to(at::kFloat), 2), "labels are of dtype Float and shape [2]");
  expect_refused(call(x, y.view({2, 1}), 2), "integers of shape [N] are expected");
  expect_refused(call(x, y.slice(0, 0, 1), 2), "it has 2 images, but 1 labels");
  expect_refused(call(x, y, 1), "it has the label 1, labels of 0 ... 0 are expected");
  expect_refused(call(x, y - 1, 2), "it has the label -1");
  expect_refused(call(x, y, 0), "0 classes; at least 1 is needed");
  at::Tensor broken = x.to(at::kFloat);
  broken[1][0][0][0] = std::numeric_limits<float>::quiet_NaN();
  expect_refused(call(broken, y, 2), "example 1 holds a value that is not finite");
}

TEST(TensorData, ServesManyThreads) {
  const at::Tensor x = at::randint(0, 256, {500, 1, 8, 8}, at::kByte);
  const auto data = tensor_data(x, at::arange(500, at::kLong), 500, "many");
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (std::int64_t i = 0; i < 500; ++i) {
        const std::int64_t n = (i * 37 + static_cast<std::int64_t>(t)) % 500;
        if (data->batch({n}).y.item<std::int64_t>() != n) ++wrong[t];
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(wrong, testing::Each(0));
}

fs::path safetensors(const TensorMap& tensors) {
  fs::path path = scratch() / "data.safetensors";
  write_safetensors(path, tensors);
  return path;
}

TEST(SafetensorsData, HoldsImagesOrLatents) {
  const fs::path path = safetensors({{"images", some_images()}, {"labels", some_labels()}});
  const auto images = open_data(path);
  EXPECT_EQ(images->info().description, "2 images of 2 x 2, from " + path.string());
  EXPECT_EQ(images->info().num_classes, 2);
  EXPECT_EQ(images->info().fingerprint,
            tensor_data(some_images(), some_labels(), 2, "x")->info().fingerprint);
  const at::Tensor values = at::linspace(-30, 30, 32).view({2, 4, 2, 2}).to(at::kHalf);
  const auto latents = open_data(safetensors({{"latents", values}, {"labels", some_labels()}}));
  EXPECT_EQ(latents->info().channels, 4);
  expect_equal(latents->batch({1}).x, values.slice(0, 1, 2).to(at::kFloat), "latents");
}

TEST(SafetensorsData, RefusesOtherContent) {
  const at::Tensor x = some_images(), y = some_labels();
  const auto call = [](const TensorMap& tensors, const l2c::DataOptions& options = {}) {
    const fs::path path = safetensors(tensors);
    return [=] { open_data(path, options); };
  };
  expect_refused(call({{"pixels", x}, {"labels", y}}), "it holds: labels, pixels; store");
  expect_refused(call({{"images", x}}), "integer 'labels' [N]");
  expect_refused(call({{"images", x}, {"latents", x}, {"labels", y}}), "both 'images' and");
  expect_refused(call({{"latents", x}, {"labels", y}}), "latents are of dtype Byte");
  expect_refused(call({{"images", x[0]}, {"labels", y}}), "[N, C, S, S] is expected");
  expect_refused(call({{"images", x.to(at::kFloat)}, {"labels", y}}),
                 "example 0 holds a pixel outside -1 ... 1; scale");
  expect_refused(call({{"images", x}, {"labels", y - 1}}), "it has the label -1");
  expect_refused(call({{"images", x}, {"labels", y + (std::int64_t{1} << 40)}}),
                 "labels of 0 ... 1048575 are expected");
  expect_refused(call({{"images", x}, {"labels", y}}, {.split = "test"}), "has no test part");
  expect_refused(call({{"images", x}, {"labels", y}}, {.channels = 1}),
                 "images of 3 channels, 1 were asked for");
  expect_refused([] { open_data("/nowhere/data.safetensors"); }, "No such file");
  expect_refused([] { open_data(l2c::test::source_dir() / "README.md"); },
                 "no valid safetensors file");
}

}  // namespace
