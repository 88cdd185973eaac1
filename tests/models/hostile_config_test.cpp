// JSON configurations that lie or ask for too much. docs/formats.md has the table.
#include <gtest/gtest.h>

#include <string>

#include "l2c/models/dit_config.h"
#include "support/byte_files.h"
#include "support/hostile_files.h"

namespace l2c {
namespace {

using namespace test;  // NOLINT: the table's words

std::string with(const std::string& field) {
  return joined(
      {R"({"input_size":8,"patch_size":2,"hidden_size":64,"depth":4,"num_heads":4,)", field, "}"});
}

TEST(HostileFiles, Configurations) {
  constexpr std::size_t million = 1'000'000;
  const std::string name = "c.json";
  expect_answers(
      {
          {"a configuration", name, with(R"("num_classes":10)"), ""},
          {"an empty configuration", name, "", "not JSON"},
          {"a configuration that is a list", name, "[1]", "is a JSON object"},
          {"a configuration cut off", name, R"({"depth":)", "not JSON"},
          {"text behind a configuration", name, "{} {}", "not JSON"},
          {"a configuration in broken UTF-8", name, "{\"\xff\":1}", "not JSON"},
          {"60 MB of configuration", name, std::string(60 * million, ' '), "larger than 1 MB"},
          {"a million opening brackets", name, std::string(million, '['),
           "nested more than 16 deep"},
          {"a field nested a hundred thousand deep", name,
           with(joined({"\"depth\":", std::string(100'000, '['), std::string(100'000, ']')})),
           "nested more than 16 deep"},
          {"a million empty lists", name,
           [] {
             std::string lists = "{\"depth\":[";
             for (int i = 0; i < 340'000; ++i) lists += "[],";
             return joined({lists, "0]}"});
           }(),
           "depth must be an integer"},
          {"a depth of 2^31", name, with(R"("depth":2147483648)"), "depth"},
          {"a depth of -1", name, with(R"("depth":-1)"), "depth"},
          {"a depth of 1e999", name, with(R"("depth":1e999)"), "not JSON"},
          {"a depth that is a text", name, with(R"("depth":"4")"), "depth must be an integer"},
          {"an unknown field", name, with(R"("colour":"red")"), ""},
      },
      [](const std::filesystem::path& path) { (void)dit_config(path.string()); });
}

}  // namespace
}  // namespace l2c
