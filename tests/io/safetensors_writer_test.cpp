#include "l2c/io/safetensors_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "l2c/core/error.h"
#include "support/byte_files.h"
#include "support/golden.h"
#include "support/memory.h"
#include "support/messages.h"

namespace l2c::io {
namespace {

using test::expect_equal;
using test::message_of;
using test::scratch;
using testing::AllOf;
using testing::HasSubstr;

TensorSpecs two() {
  return {{"a", {.dtype = at::kBFloat16, .shape = {3}}},
          {"b", {.dtype = at::kFloat, .shape = {2}}}};
}

TEST(SafetensorsWriter, WritesTensorByTensorWhatTheOtherWriterWritesAtOnce) {
  const auto folder = scratch();
  const TensorMap tensors{{"wide", at::arange(6, at::kDouble).view({2, 3}).t()},
                          {"b", at::randn({3, 5})},
                          {"a", at::randn({7}).to(at::kBFloat16)},
                          {"none", at::empty({0, 4})},
                          {"scalar", at::full({}, 5, at::kLong)}};
  write_safetensors(folder / "at once", tensors, {{"k", "v"}});
  TensorSpecs specs;
  for (const auto& [name, tensor] : tensors) {
    specs[name] = {.dtype = tensor.scalar_type(), .shape = tensor.sizes().vec()};
  }
  SafetensorsWriter writer(folder / "one by one", specs, {{"k", "v"}});
  EXPECT_THAT(writer.names(), testing::ElementsAre("scalar", "wide", "b", "none", "a"));
  for (const auto& name : writer.names()) writer.write(name, tensors.at(name));
  EXPECT_FALSE(std::filesystem::exists(folder / "one by one"));
  writer.commit();
  EXPECT_EQ(test::read_bytes(folder / "one by one"), test::read_bytes(folder / "at once"));
  const auto file = SafetensorsFile::open(folder / "one by one");
  for (const auto& [name, tensor] : tensors) expect_equal(file.tensor(name), tensor, name);
}

TEST(SafetensorsWriter, ConvertsToTheTypeOfTheHeader) {
  const auto path = scratch() / "x";
  // More than one piece, and strides.
  const auto wide = at::randn({2, 1 << 20}, at::kDouble).t();
  const auto half = at::randn({9}).to(at::kHalf);
  SafetensorsWriter writer(path, {{"half", {.dtype = at::kFloat, .shape = {9}}},
                                  {"wide", {.dtype = at::kBFloat16, .shape = {1 << 20, 2}}}});
  writer.write("half", half);
  writer.write("wide", wide);
  writer.commit();
  const auto file = SafetensorsFile::open(path);
  expect_equal(file.tensor("wide"), wide.to(at::kBFloat16).contiguous(), "wide");
  expect_equal(file.tensor("half"), half.to(at::kFloat), "half");
}

TEST(SafetensorsWriter, RefusesNumbersThatTheNewTypeCannotHold) {
  const auto folder = scratch();
  const auto write = [&](const at::Tensor& tensor, at::ScalarType dtype) {
    SafetensorsWriter writer(folder / "x", {{"w", {.dtype = dtype, .shape = {3}}}});
    writer.write("w", tensor);
    writer.commit();
  };
  EXPECT_THAT(message_of([&] { write(at::full({3}, 1e300, at::kDouble), at::kFloat); }),
              AllOf(HasSubstr("tensor 'w' holds a number that Float can't hold"),
                    HasSubstr("keep its type (Double)")));
  EXPECT_THAT(
      message_of([&] { write(at::full({3}, std::numeric_limits<float>::max()), at::kBFloat16); }),
      HasSubstr("BFloat16 can't hold"));
  EXPECT_EQ(test::names_in(folder).size(), 0U);
  // What is not finite already stays what it is.
  const auto odd = at::tensor({INFINITY, NAN, 1.0F});
  write(odd, at::kBFloat16);
  const auto read = SafetensorsFile::open(folder / "x").tensor("w").to(at::kFloat);
  EXPECT_TRUE(std::isinf(read[0].item<float>()));
  EXPECT_TRUE(std::isnan(read[1].item<float>()));
}

TEST(SafetensorsWriter, LeavesNothingBehindUnlessAllIsThere) {
  const auto folder = scratch();
  {
    SafetensorsWriter writer(folder / "x", two());
    writer.write("b", at::zeros({2}));
    EXPECT_THAT(message_of<Error>([&] { writer.commit(); }),
                AllOf(HasSubstr("1 of 2 tensors"), HasSubstr("'a' comes next")));
    EXPECT_THAT(message_of<Error>([&] { writer.write("b", at::zeros({2})); }),
                HasSubstr("'b' does not come now, but a"));
    EXPECT_THAT(message_of([&] { writer.write("a", at::zeros({4})); }),
                AllOf(HasSubstr("announced as [3]"), HasSubstr("is [4]")));
    EXPECT_THAT(message_of([&] { writer.write("a", {}); }), HasSubstr("is undefined"));
  }
  EXPECT_EQ(test::names_in(folder).size(), 0U);
}

TEST(SafetensorsWriter, RefusesAHeaderBeforeAFileIsMade) {
  const auto folder = scratch();
  const auto refused = [&](const TensorSpecs& specs, const Metadata& metadata = {}) {
    return message_of([&] { SafetensorsWriter(folder / "x", specs, metadata); });
  };
  EXPECT_THAT(refused({{"c", {.dtype = at::kComplexDouble, .shape = {1}}}}),
              HasSubstr("'c' is of dtype ComplexDouble"));
  EXPECT_THAT(refused({{"__metadata__", {.dtype = at::kFloat, .shape = {1}}}}),
              HasSubstr("reserved"));
  EXPECT_THAT(refused({}, {{"k", "\xff"}}), HasSubstr("not valid UTF-8"));
  EXPECT_THAT(message_of([&] { SafetensorsWriter(folder, {}); }), HasSubstr("is a directory"));
  EXPECT_EQ(test::names_in(folder).size(), 0U);
}

TEST(SafetensorsWriter, WritesTheLongestTextThatIsRead) {
  const auto path = scratch() / "a.safetensors";
  const Metadata metadata{{"long", std::string((4 << 20) - 2, 'm')},
                          {"escaped", std::string((4 << 20) / 6 - 1, '\1')}};
  write_safetensors(path, {{"w", at::ones({1})}}, metadata);
  EXPECT_EQ(SafetensorsFile::open(path).metadata(), metadata);
}

TEST(SafetensorsWriter, RefusesWhatItsReaderWould) {
  const auto path = test::scratch() / "a.safetensors";
  const auto message = [&](const std::string& name, std::vector<std::int64_t> shape,
                           const Metadata& metadata) {
    return message_of([&] {
      SafetensorsWriter(path, {{name, {.dtype = at::kFloat, .shape = std::move(shape)}}}, metadata);
    });
  };
  EXPECT_THAT(message(std::string(2001, 'n'), {1}, {}), HasSubstr("2001 bytes in the name"));
  EXPECT_THAT(message("w", std::vector<std::int64_t>(65, 1), {}), HasSubstr("65 axes of tensor"));
  EXPECT_THAT(message("w", {1}, {{"k", std::string(4 << 20, 'm')}}),
              HasSubstr("4194306 bytes of JSON in an entry of metadata, 4194304 are the most"));
  EXPECT_THAT(message("w", {1}, {{std::string(2001, 'k'), "v"}}),
              HasSubstr("2001 bytes in the name of an entry"));
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(SafetensorsWriter, NeedsAPieceOfMemoryAndNoMore) {
  const auto path = scratch() / "x";
  const auto tensor = at::ones({48 << 20}, at::kBFloat16);  // 96 MB, 192 MB as fp32
  SafetensorsWriter writer(path, {{"w", {.dtype = at::kFloat, .shape = {48 << 20}}}});
  test::reset_peak_memory();
  [[maybe_unused]] const auto before = test::peak_memory_bytes();
  writer.write("w", tensor);
  writer.commit();
#ifndef __SANITIZE_ADDRESS__  // which keeps freed memory
  EXPECT_LT(test::peak_memory_bytes() - before, 40 << 20);
#endif
  EXPECT_EQ(std::filesystem::file_size(path) >> 20, 192U);
}

}  // namespace
}  // namespace l2c::io
