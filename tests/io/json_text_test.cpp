#include "l2c/io/json_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "l2c/core/error.h"

namespace {

using l2c::InputError;
using l2c::io::check_json_text;
using l2c::io::most_json_bytes;
using l2c::io::most_json_levels;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

void expect_refused(const std::string& text, const std::string& message) {
  EXPECT_THAT([&] { check_json_text(text, "a.json"); },
              ThrowsMessage<InputError>(AllOf(HasSubstr("a.json"), HasSubstr(message))));
}

TEST(JsonText, CountsLevels) {
  const std::string deepest(most_json_levels, '[');
  EXPECT_NO_THROW(check_json_text(deepest + "]]]]" + "[{[{", "a"));
  expect_refused(deepest + "{", "nested more than 16 deep");
  expect_refused(deepest + "]" + "{{", "nested more than 16 deep");
}

TEST(JsonText, BracketsInTextsAreNoLevels) {
  const std::string many(100, '[');
  EXPECT_NO_THROW(check_json_text(std::string("{\"") + many + "\":\"\\\"" + many + "\\\\\"}", "a"));
  expect_refused(std::string("{\"a\\\\\":") + many, "nested more than 16 deep");
}

TEST(JsonText, MayHaveAMegabyte) {
  EXPECT_NO_THROW(check_json_text(std::string(most_json_bytes, ' '), "a"));
  expect_refused(std::string(most_json_bytes + 1, ' '), "1048577 bytes of JSON are too many");
}

}  // namespace
