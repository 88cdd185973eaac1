#include "l2c/io/safetensors.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <string>

#include "l2c/core/error.h"
#include "support/byte_files.h"
#include "support/golden.h"

namespace {

using l2c::InputError;
using l2c::RunError;
using l2c::io::content_checksum;
using l2c::io::SafetensorsFile;
using l2c::io::TensorMap;
using l2c::io::write_safetensors;
using l2c::test::packed;
using l2c::test::read_bytes;
using l2c::test::safetensors_file;
using l2c::test::scratch;
using l2c::test::write_bytes;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

void expect_refused(const std::filesystem::path& path, const std::string& message) {
  EXPECT_THAT([&] { SafetensorsFile::open(path); },
              ThrowsMessage<InputError>(AllOf(HasSubstr(path.string()), HasSubstr(message))));
}

void expect_refused(std::string_view header, std::string_view data, const std::string& message) {
  expect_refused(safetensors_file(header, data), message);
}

TEST(DitTinyWeights, AreReadInPlace) {
  const auto file = SafetensorsFile::open(l2c::test::data("dit_tiny/weights.safetensors"));
  EXPECT_EQ(file.names().size(), 52U);
  const at::Tensor positions = file.tensor("pos_embed");
  EXPECT_EQ(positions.sizes(), (at::IntArrayRef{1, 16, 64}));
  EXPECT_EQ(positions.scalar_type(), at::kFloat);
  EXPECT_EQ(positions.data_ptr(), file.tensor("pos_embed").data_ptr());
  // Official sin-cos positions at (0, 0): 32 sines, 32 cosines a half.
  EXPECT_EQ(positions[0][0][0].item<float>(), 0.0F);
  EXPECT_EQ(positions[0][0][63].item<float>(), 1.0F);
  EXPECT_EQ(file.tensors().size(), 52U);
}

TEST(SafetensorsFile, TensorsOutliveTheFile) {
  at::Tensor tensor;
  {
    const auto path = scratch() / "a.safetensors";
    write_safetensors(path, {{"a", at::arange(6, at::kFloat)}});
    tensor = SafetensorsFile::open(path).tensor("a");
  }
  l2c::test::expect_equal(tensor, at::arange(6, at::kFloat), "a");
}

TEST(SafetensorsFile, ReadsHandMadeBytes) {
  const auto file = SafetensorsFile::open(safetensors_file(
      R"({"b":{"dtype":"F32","shape":[1,2],"data_offsets":[1,9]},"__metadata__":{"k":"v"},)"
      R"("a":{"shape":[],"data_offsets":[0,1],"dtype":"U8"},)"
      R"("none":{"dtype":"I64","shape":[0,3],"data_offsets":[9,9]}}   )",
      std::string("\x07") + packed(1.5F) + packed(-2.0F)));
  EXPECT_THAT(file.names(), ElementsAre("a", "b", "none"));
  EXPECT_EQ(file.tensor("a").item<int>(), 7);
  EXPECT_EQ(file.tensor("a").dim(), 0);
  // Not aligned in the file: a copy.
  l2c::test::expect_equal(file.tensor("b"), at::tensor({1.5F, -2.0F}).view({1, 2}), "b");
  EXPECT_EQ(file.tensor("none").sizes(), (at::IntArrayRef{0, 3}));
  EXPECT_EQ(file.metadata().at("k"), "v");
  EXPECT_TRUE(file.contains("a"));
  EXPECT_FALSE(file.contains("c"));
}

TEST(SafetensorsFile, AMissingTensorIsNamed) {
  const auto file = SafetensorsFile::open(
      safetensors_file(R"({"here":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "\1"));
  EXPECT_THAT([&] { [[maybe_unused]] const at::Tensor none = file.tensor("gone"); },
              ThrowsMessage<InputError>(AllOf(HasSubstr("no tensor 'gone'"), HasSubstr("here"))));
}

TEST(SafetensorsFile, RefusesBadSizes) {
  const auto path = scratch() / "bad.safetensors";
  write_bytes(path, "");
  expect_refused(path, "0 bytes, too few");
  write_bytes(path, "1234567");
  expect_refused(path, "7 bytes, too few");
  write_bytes(path, packed<std::uint64_t>(100'000'001) + "{}");
  expect_refused(path, "ask for a header of 100000001 bytes, the format allows 100000000");
  write_bytes(path, packed<std::uint64_t>(~0ULL) + "{}");
  expect_refused(path, "18446744073709551615");
  write_bytes(path, packed<std::uint64_t>(3) + "{}");
  expect_refused(path, "ends within its header: 3 bytes expected, 2 there");
  EXPECT_THAT([&] { SafetensorsFile::open(path.parent_path()); },
              ThrowsMessage<InputError>(HasSubstr("it is a directory")));
}

TEST(SafetensorsFile, RefusesBadJson) {
  expect_refused("", "", "does not begin with '{'");
  expect_refused(" {}", "", "does not begin with '{'");
  expect_refused("[]", "", "does not begin with '{'");
  expect_refused("{", "", "not valid JSON");
  expect_refused("{}x", "", "not valid JSON");
  expect_refused("{\"a\xff\":1}", "", "not valid JSON");
  expect_refused(std::string_view("{}\0", 3), "", "a zero byte");
  expect_refused(R"({"a":1})", "", "tensor 'a' holds the number 1, expected an object");
  expect_refused(R"({"a":[]})", "", "tensor 'a' holds a list, expected an object");
  expect_refused(R"({"a":null})", "", "tensor 'a' holds null");
  expect_refused(R"({"a":{"dtype":{}}})", "", "tensor 'a': dtype holds an object");
  expect_refused(std::string(100'000, '{'), "", "not valid JSON");
}

TEST(SafetensorsFile, RefusesKeysThatOccurTwice) {
  expect_refused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                 R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                 "1", "the name 'a' occurs twice");
  expect_refused(R"({"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})", "1",
                 "tensor 'a': dtype occurs twice");
  expect_refused(R"({"__metadata__":{"k":"1","k":"2"}})", "",
                 "__metadata__ entry 'k' occurs twice");
  expect_refused(R"({"__metadata__":{},"__metadata__":{}})", "", "'__metadata__' occurs twice");
}

TEST(SafetensorsFile, RefusesMetadataThatIsNoText) {
  expect_refused(R"({"__metadata__":{"k":1}})", "",
                 "entry 'k' holds the number 1, expected a string");
  expect_refused(R"({"__metadata__":{"k":{}}})", "", "entry 'k' holds an object");
  expect_refused(R"({"__metadata__":{"k":["v"]}})", "", "entry 'k' holds a list");
  expect_refused(R"({"__metadata__":"v"})", "", "__metadata__ holds the string");
}

TEST(SafetensorsFile, RefusesBadEntries) {
  expect_refused(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", "1", "tensor 'a' has no dtype");
  expect_refused(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", "1", "tensor 'a' has no shape");
  expect_refused(R"({"a":{"dtype":"U8","shape":[1]}})", "1", "tensor 'a' has no data_offsets");
  expect_refused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}})", "1",
                 "unknown field 'x'");
  expect_refused(R"({"a":{"dtype":"Q4","shape":[1],"data_offsets":[0,1]}})", "1",
                 "tensor 'a' has the unknown dtype 'Q4'");
  expect_refused(R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", "1",
                 "tensor 'a': shape holds the negative number -1");
  expect_refused(R"({"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})", "1",
                 "shape holds the number 1.0");
  expect_refused(R"({"a":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,1]}})", "1",
                 "shape holds the number 18446744073709551616");
  expect_refused(R"({"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}})", "1",
                 "shape holds the string");
  expect_refused(R"({"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}})", "1",
                 "shape holds a list");
  expect_refused(R"({"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}})", "1",
                 "shape holds the number 1, expected a list");
  expect_refused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}})", "1",
                 "data_offsets holds 3 numbers");
}

TEST(SafetensorsFile, RefusesSizesThatDisagree) {
  expect_refused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "1234",
                 "F32 of shape [2] needs 8 bytes, but its offsets span 4");
  expect_refused(R"({"a":{"dtype":"F32","shape":[],"data_offsets":[0,0]}})", "", "needs 4 bytes");
  expect_refused(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,1]}})", "1", "needs 0 bytes");
  expect_refused(R"({"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", "",
                 "[4294967296, 4294967296] is too large");
  expect_refused(R"({"a":{"dtype":"U8","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}})",
                 "", "is too large");
  expect_refused(R"({"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}})", "",
                 "is too large");
}

TEST(SafetensorsFile, RefusesBadOffsets) {
  const auto two = [](const std::string& first, const std::string& second) {
    return fmt::format(R"({{"a":{{"dtype":"U8","shape":[2],"data_offsets":{}}},)"
                       R"("b":{{"dtype":"U8","shape":[2],"data_offsets":{}}}}})",
                       first, second);
  };
  expect_refused(two("[0,2]", "[3,5]"), "12345", "'b' begins at byte 3 of the data, but the one");
  expect_refused(two("[0,2]", "[3,5]"), "12345", "a gap");
  expect_refused(two("[0,2]", "[1,3]"), "123", "an overlap");
  expect_refused(two("[0,2]", "[0,2]"), "12", "an overlap");
  expect_refused(two("[1,3]", "[3,5]"), "12345", "'a' begins at byte 1");
  expect_refused(two("[0,2]", "[2,4]"), "12345", "1 bytes follow the last tensor");
  expect_refused(two("[0,2]", "[2,4]"), "123", "'b' reaches to byte 4 of the data, but only 3");
  expect_refused(two("[0,2]", "[4,2]"), "1234", "'b' ends (offset 2) before it begins (4)");
  expect_refused("{}", "1", "1 bytes follow the last tensor");
  EXPECT_EQ(SafetensorsFile::open(safetensors_file(two("[2,4]", "[0,2]"), "1234")).names().size(),
            2U);
}

TensorMap every_dtype() {
  TensorMap tensors;
  for (const at::ScalarType type :
       {at::kBool, at::kByte, at::kChar, at::kShort, at::kInt, at::kLong, at::kHalf, at::kBFloat16,
        at::kFloat, at::kDouble, at::kComplexFloat}) {
    tensors[at::toString(type)] = at::arange(3, at::kFloat).to(type);
  }
  for (const at::ScalarType type :
       {at::kUInt16, at::kUInt32, at::kUInt64, at::kFloat8_e4m3fn, at::kFloat8_e5m2}) {
    tensors[at::toString(type)] = at::zeros({3}, type);
  }
  return tensors;
}

TEST(WriteSafetensors, RoundTripOfEveryDtype) {
  TensorMap tensors = every_dtype();
  tensors["scalar"] = at::scalar_tensor(3.25, at::kDouble);
  tensors["empty"] = at::empty({2, 0, 3}, at::kFloat);
  tensors["transposed"] = at::arange(6, at::kFloat).view({2, 3}).t();
  const l2c::io::Metadata metadata{{"config", "{\"a\": \"\u00e4\"}"}, {"another", ""}};
  const auto path = scratch() / "all.safetensors";
  write_safetensors(path, tensors, metadata);
  const auto file = SafetensorsFile::open(path);
  EXPECT_EQ(file.metadata(), metadata);
  ASSERT_EQ(file.names().size(), tensors.size());
  for (const auto& [name, expected] : tensors) {
    const at::Tensor actual = file.tensor(name);
    ASSERT_EQ(actual.scalar_type(), expected.scalar_type()) << name;
    ASSERT_EQ(actual.sizes(), expected.sizes()) << name;
    const auto bytes = [](const at::Tensor& tensor) {
      const at::Tensor dense = tensor.contiguous();
      return std::string(static_cast<const char*>(dense.const_data_ptr()), dense.nbytes());
    };
    EXPECT_EQ(bytes(actual), bytes(expected)) << name;
  }
}

TEST(WriteSafetensors, GoldenWeightsSurviveARoundTrip) {
  const auto golden = SafetensorsFile::open(l2c::test::data("dit_tiny/weights.safetensors"));
  const auto path = scratch() / "copy.safetensors";
  write_safetensors(path, golden.tensors());
  const auto copy = SafetensorsFile::open(path);
  ASSERT_EQ(copy.names(), golden.names());
  for (const auto& name : golden.names()) {
    l2c::test::expect_equal(copy.tensor(name), golden.tensor(name), name);
  }
}

TEST(WriteSafetensors, EqualContentGivesEqualBytesAndAlignedData) {
  const auto folder = scratch();
  write_safetensors(folder / "1", every_dtype(), {{"b", "2"}, {"a", "1"}});
  write_safetensors(folder / "2", every_dtype(), {{"a", "1"}, {"b", "2"}});
  const std::string bytes = read_bytes(folder / "1");
  EXPECT_EQ(bytes, read_bytes(folder / "2"));
  EXPECT_EQ(static_cast<unsigned char>(bytes[0]) % 8, 0);
  const auto file = SafetensorsFile::open(folder / "1");
  // In place, not copied: asking twice gives the same memory.
  for (const auto& name : file.names()) {
    EXPECT_EQ(file.tensor(name).data_ptr(), file.tensor(name).data_ptr()) << name;
  }
}

TEST(WriteSafetensors, RefusesWhatTheFormatCannotHold) {
  const auto path = scratch() / "out.safetensors";
  EXPECT_THAT(
      [&] { write_safetensors(path, {{"wide", at::zeros({1}, at::kComplexDouble)}}); },
      ThrowsMessage<InputError>(AllOf(HasSubstr("tensor 'wide'"), HasSubstr("ComplexDouble"))));
  EXPECT_THAT([&] { write_safetensors(path, {{"nothing", at::Tensor()}}); },
              ThrowsMessage<InputError>(HasSubstr("tensor 'nothing' is undefined")));
  EXPECT_THAT([&] { write_safetensors(path, {{"__metadata__", at::zeros({1})}}); },
              ThrowsMessage<InputError>(HasSubstr("reserved")));
  EXPECT_THAT([&] { write_safetensors(path, {{"\xff", at::zeros({1})}}); },
              ThrowsMessage<InputError>(HasSubstr("not valid UTF-8")));
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_THAT([] { write_safetensors("/dev/full", {{"a", at::zeros({1})}}); },
              ThrowsMessage<RunError>(HasSubstr("disk is full")));
}

TEST(ContentChecksum, IsThatOfTheCheckpointsWrittenSoFar) {
  // What RunFolder wrote into its file for this very content, with l2c 0.1: if another digest comes
  // out, no training that is under way can go on.
  const TensorMap tensors{{"a", at::arange(6, at::kFloat).view({2, 3}).t()},
                          {"b", at::full({}, 4, at::kLong)},
                          {"none", at::empty({0, 3}, at::kBFloat16)}};
  const l2c::io::Metadata metadata{{"checksum", "is not looked at"},
                                   {"note", "x"},
                                   {"settings", R"({"learning_rate":"0.0001"})"},
                                   {"step", "12"}};
  EXPECT_EQ(content_checksum(tensors, metadata), "d76b329de68db576a936b22d69c03bcb");
}

TEST(ContentChecksum, FollowsEverythingButItself) {
  const auto a = at::arange(6, at::kFloat);
  std::set<std::string> seen;
  const auto add = [&](const TensorMap& tensors, const l2c::io::Metadata& metadata) {
    EXPECT_TRUE(seen.insert(content_checksum(tensors, metadata)).second) << seen.size();
  };
  add({{"a", a}}, {{"k", "v"}});
  add({{"a", a + 1}}, {{"k", "v"}});
  add({{"b", a}}, {{"k", "v"}});
  add({{"a", a.view({2, 3})}}, {{"k", "v"}});
  add({{"a", a.view(at::kInt)}}, {{"k", "v"}});
  add({{"a", a}}, {{"k", "w"}});
  add({{"a", a}}, {{"kv", ""}});
  add({{"a", a}}, {});
  EXPECT_EQ(content_checksum({{"a", a}}, {{"k", "v"}, {"checksum", "1"}}),
            content_checksum({{"a", a}}, {{"k", "v"}}));
}

}  // namespace
