// What torch.save really writes, in its formats: tests/data/io/make_torch_files.py made the files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>

#include "l2c/core/error.h"
#include "l2c/io/checkpoint.h"
#include "l2c/io/safetensors.h"
#include "l2c/io/torch_checkpoint.h"
#include "support/byte_files.h"
#include "support/golden.h"
#include "support/pickle_programs.h"

namespace {

using l2c::InputError;
using l2c::io::PickleList;
using l2c::io::PickleObject;
using l2c::io::PicklePtr;
using l2c::io::read_torch_file;
using l2c::test::data;
using l2c::test::expect_equal;
using l2c::test::literal;
using l2c::test::make_legacy;
using l2c::test::packed;
using l2c::test::pickle_storage;
using l2c::test::pickle_text;
using l2c::test::pickle_tuple;
using l2c::test::scratch;
using l2c::test::write_bytes;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

class TorchFormats : public testing::TestWithParam<const char*> {
 protected:
  std::filesystem::path path_ = data(std::string("io/") + GetParam());
  PicklePtr root_ = read_torch_file(path_);
  [[nodiscard]] at::Tensor tensor(const char* name) const {
    return *root_->find("model")->find(name)->tensor();
  }
};

TEST_P(TorchFormats, EveryTensorEqualsTheSafetensorsFile) {
  const auto golden = l2c::io::SafetensorsFile::open(data("io/torch_mix.safetensors"));
  const auto checkpoint = l2c::io::open_checkpoint(path_);
  EXPECT_EQ(checkpoint.section, "model");
  EXPECT_EQ(checkpoint.tensors.size(), golden.names().size());
  for (const auto& name : golden.names()) {
    ASSERT_TRUE(checkpoint.tensors.contains(name)) << name;
    expect_equal(checkpoint.tensors.at(name), golden.tensor(name), name);
  }
  std::set<at::ScalarType> types;
  for (const auto& [name, value] : checkpoint.tensors) types.insert(value.scalar_type());
  EXPECT_EQ(types.size(), 12U);
}

TEST_P(TorchFormats, ViewsShareTheirStorageAndKeepTheirStrides) {
  const auto* base = static_cast<const float*>(tensor("base").const_data_ptr());
  EXPECT_EQ(tensor("shared_row").const_data_ptr(), base + 20);
  EXPECT_EQ(tensor("permuted").const_data_ptr(), base);
  EXPECT_EQ(tensor("permuted").strides(), (at::IntArrayRef{1, 12, 4}));
  EXPECT_EQ(tensor("strided").const_data_ptr(), base + 1);
  EXPECT_EQ(tensor("expanded").const_data_ptr(), base);
  EXPECT_EQ(tensor("expanded").strides(), (at::IntArrayRef{12, 0, 1}));
  EXPECT_EQ(tensor("zero_strides").strides(), (at::IntArrayRef{0, 0}));
  EXPECT_EQ(tensor("scalar").dim(), 0);
  EXPECT_EQ(tensor("empty").sizes(), (at::IntArrayRef{0, 3}));
  EXPECT_TRUE(tensor("base").device().is_cpu());  // saved from cuda:0
}

TEST_P(TorchFormats, OtherObjectsAreInert) {
  const auto type = [&](const char* name) {
    return std::get<PickleObject>(root_->find(name)->value).type;
  };
  EXPECT_EQ(type("args"), "argparse.Namespace");
  EXPECT_EQ(*root_->find("args")->find("model")->text(), "DiT-tiny");
  EXPECT_EQ(type("device"), "torch.device");
  EXPECT_EQ(type("dtype"), "torch.bfloat16");
  EXPECT_EQ(type("path"), "pathlib.PurePosixPath");
  EXPECT_EQ(type("seed"), "builtins.int");
  EXPECT_EQ(std::get<PickleList>(root_->find("size")->value).size(), 2U);
  // A parameter with attributes of its own.
  ASSERT_NE(root_->find("named")->tensor(), nullptr);
  expect_equal(*root_->find("named")->tensor(), at::full({2}, 4.0F), "named");
}

TEST_P(TorchFormats, NestedContainersKeepTheirTensors) {
  PicklePtr value = root_->find("args")->find("nested")->find("list");
  value = std::get<PickleList>(value->value).at(1);
  value = std::get<PickleList>(value->value).at(1);
  EXPECT_EQ(std::get<double>(std::get<PickleList>(value->value).at(0)->value), 3.5);
  const PicklePtr deep = std::get<PickleList>(value->value).at(1)->find("deep");
  expect_equal(*deep->tensor(), at::ones({1}), "deep");
}

TEST_P(TorchFormats, CanBeVerified) {
  l2c::io::verify_torch_file(path_);
  EXPECT_TRUE(l2c::io::looks_like_torch_file(path_));
  EXPECT_FALSE(l2c::io::holds_torchscript(path_));
}

INSTANTIATE_TEST_SUITE_P(Made, TorchFormats,
                         testing::Values("torch_mix.pt", "torch_mix_legacy.pt",
                                         "torch_mix_deflated.pt"));

TEST(DeflatedEntries, AreUnpackedToExactlyWhatTheStorageDeclares) {
  const auto path = scratch() / "packed.pt";
  const std::string program = l2c::test::pickle_dict(
      l2c::test::pickle_tensor({.count = 2, .offset = 0, .sizes = {2}, .strides = {1}}));
  const std::string two = packed(1.5F) + packed(-2.0F);
  const auto save = [&](const std::string& storage) {
    write_bytes(path,
                l2c::test::make_deflated_zip({{"a/data.pkl", program}, {"a/data/0", storage}}));
    return [path] { read_torch_file(path); };
  };
  save(two)();
  expect_equal(*read_torch_file(path)->find("w")->tensor(), at::tensor({1.5F, -2.0F}), "w");
  for (const std::string& other : {two + packed(3.0F), two + "x", two.substr(0, 7)}) {
    EXPECT_THAT(save(other), ThrowsMessage<InputError>(HasSubstr(
                                 "storage '0' should hold 2 elements of 4 bytes, but has")));
  }
}

// Its own storage views, as PyTorch before 0.4 saved them: (key, offset, elements).
TEST(LegacyFormat, ViewsOfAStorage) {
  const auto tensor = [](const std::string& view, std::int64_t size) {
    return std::string("ctorch._utils\n_rebuild_tensor\n(") +
           pickle_storage("LongStorage", "7", 4, view) + "K" + std::string(1, '\0') +
           pickle_tuple({size}) + pickle_tuple({1}) + "tR";
  };
  const std::string part = "(" + pickle_text("8") + "K\1K\2t";
  const std::string four = packed(std::int64_t{10}) + packed(std::int64_t{11}) +
                           packed(std::int64_t{12}) + packed(std::int64_t{13});
  const auto path = scratch() / "views.pt";
  write_bytes(path, make_legacy(std::string("\x80\x02(") + tensor(part, 2) + tensor("N", 4) + "t.",
                                {{.key = "7", .count = 4, .bytes = four}}));
  const PicklePtr both = read_torch_file(path);
  const auto& list = std::get<PickleList>(both->value);
  expect_equal(*list.at(0)->tensor(), at::tensor({11, 12}, at::kLong), "part");
  expect_equal(*list.at(1)->tensor(), at::tensor({10, 11, 12, 13}, at::kLong), "whole");
}

TEST(LegacyFormat, ProtocolFourIsRead) {
  const std::string frame = literal("\x95\x0d\0\0\0\0\0\0\0");
  std::string file = make_legacy("\x80\x02K\x09.");
  file.replace(0, 2, std::string("\x80\x04").append(frame));
  const auto path = scratch() / "four.pt";
  write_bytes(path, file);
  EXPECT_EQ(std::get<std::int64_t>(read_torch_file(path)->value), 9);
}

TEST(LegacyFormat, TensorsOutliveTheFile) {
  const auto path = scratch() / "copy.pt";
  std::filesystem::copy_file(data("io/torch_mix_legacy.pt"), path);
  const at::Tensor base = *read_torch_file(path)->find("model")->find("base")->tensor();
  std::filesystem::remove(path);
  EXPECT_EQ(base[1][2][3].item<float>(), 23.0F / 8 - 1);
}

}  // namespace
