// Checkpoints in several files: what an index may say, and what it may not.
#include "l2c/io/sharded.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "l2c/core/error.h"
#include "support/byte_files.h"
#include "support/golden.h"

namespace {

namespace fs = std::filesystem;
using l2c::InputError;
using l2c::io::open_checkpoint;
using l2c::io::open_sharded;
using l2c::io::write_safetensors;
using l2c::test::scratch;
using l2c::test::write_bytes;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

// Two shards with the tensors a and b, and an index of these pairs.
fs::path index_of(const std::string& map) {
  const auto folder = scratch();
  write_safetensors(folder / "1.safetensors", {{"a", at::arange(3, at::kFloat)}});
  write_safetensors(folder / "2.safetensors", {{"b", at::ones({2, 2}, at::kFloat)}});
  const auto index = folder / "model.safetensors.index.json";
  write_bytes(index, R"({"metadata": {}, "weight_map": {)" + map + "}}");
  return index;
}

void expect_refused(const fs::path& index, const testing::Matcher<std::string>& message) {
  EXPECT_THAT([&] { open_sharded(index); },
              ThrowsMessage<InputError>(AllOf(HasSubstr(index.string()), message)));
}

TEST(Sharded, AllTensorsOfAllShards) {
  const auto index = index_of(R"("a": "1.safetensors", "b": "2.safetensors")");
  const auto checkpoint = open_checkpoint(index);
  EXPECT_EQ(checkpoint.format, "safetensors");
  EXPECT_EQ(checkpoint.path, index);
  EXPECT_EQ(checkpoint.shards.size(), 2U);
  ASSERT_EQ(checkpoint.tensors.size(), 2U);
  l2c::test::expect_equal(checkpoint.tensors.at("a"), at::arange(3, at::kFloat), "a");
  l2c::test::expect_equal(checkpoint.tensors.at("b"), at::ones({2, 2}, at::kFloat), "b");
}

TEST(Sharded, AMissingShard) {
  expect_refused(index_of(R"("a": "1.safetensors", "b": "3.safetensors", "c": "3.safetensors")"),
                 AllOf(HasSubstr("3.safetensors' is missing"),
                       HasSubstr("for 2 tensors (b, ...); download it, too")));
}

TEST(Sharded, ATensorThatIsNotInItsShard) {
  expect_refused(
      index_of(R"("a": "1.safetensors", "b": "1.safetensors")"),
      AllOf(HasSubstr("1.safetensors' has no tensor b"), HasSubstr("download all of them again")));
}

TEST(Sharded, ATensorThatTheIndexDoesNotName) {
  const auto index = index_of(R"("a": "1.safetensors", "b": "2.safetensors")");
  write_safetensors(index.parent_path() / "2.safetensors",
                    {{"b", at::zeros({1})}, {"more", at::zeros({1})}});
  expect_refused(index, HasSubstr("2.safetensors' holds the tensor more"));
}

TEST(Sharded, PathsThatLeaveTheFolderAreNotFollowed) {
  const auto good = index_of(R"("a": "1.safetensors", "b": "2.safetensors")");
  for (const std::string& path :
       {"../" + good.parent_path().filename().string() + "/1.safetensors",
        (good.parent_path() / "1.safetensors").string(), std::string("sub/1.safetensors"),
        std::string("..\\\\1.safetensors"), std::string(".."), std::string("."), std::string(),
        std::string("1.safetensors\\u0000"), std::string("1\\u001b.safetensors")}) {
    write_bytes(good, R"({"weight_map": {"a": ")" + path + R"(", "b": "2.safetensors"}})");
    expect_refused(good, AllOf(HasSubstr("tensor a lies in"),
                               HasSubstr("expected the name of a file in the same folder")));
  }
}

TEST(Sharded, WhatIsNoIndex) {
  const auto index = scratch() / "model.safetensors.index.json";
  for (const char* text : {"", "{", "[]", "7", "{}", R"({"weight_map": []})",
                           R"({"weight_map": {}})", R"({"weight_map": null})"}) {
    write_bytes(index, text);
    expect_refused(index, HasSubstr("no index of shards"));
  }
  write_bytes(index, R"({"weight_map": {"a": 3}})");
  expect_refused(index, HasSubstr("tensor a lies in number"));
}

TEST(Sharded, DeepNestingIsRefusedNotFollowed) {
  constexpr std::size_t depth = 200000;
  const std::string deep = std::string(depth, '[') + std::string(depth, ']');
  expect_refused(index_of("\"a\": " + deep), HasSubstr("JSON nested more than 16 deep"));
  expect_refused(index_of("\"a\": [[1]]"), HasSubstr("tensor a lies in array"));
  const auto large = index_of(std::string(2'000'000, ' '));
  expect_refused(large, HasSubstr("larger than 1 MB"));
}

TEST(Sharded, ADamagedShardIsNamed) {
  const auto index = index_of(R"("a": "1.safetensors", "b": "2.safetensors")");
  write_bytes(index.parent_path() / "2.safetensors", "no such thing");
  EXPECT_THAT([&] { open_sharded(index); }, ThrowsMessage<InputError>(HasSubstr("2.safetensors")));
}

TEST(Sharded, MessagesHoldNoControlCharacters) {
  const auto index = index_of("\"a\\u001b[2J\": \"1.safetensors\"");
  expect_refused(index, HasSubstr("has no tensor a?[2J"));
}

TEST(Sharded, NamesOfIndexes) {
  EXPECT_TRUE(l2c::io::is_shard_index("a/model.safetensors.index.json"));
  EXPECT_FALSE(l2c::io::is_shard_index("a/model.safetensors"));
  EXPECT_FALSE(l2c::io::is_shard_index("a/index.json"));
}

}  // namespace
