#include "l2c/core/html.h"

#include <gtest/gtest.h>

#include <string_view>

namespace l2c {
namespace {

TEST(EscapedHtml, LeavesNoMarkup) {
  EXPECT_EQ(escaped_html("a < b && c > \"d\" 'e'"),
            "a &lt; b &amp;&amp; c &gt; &quot;d&quot; &#39;e&#39;");
  EXPECT_EQ(escaped_html("Fr\xc3\xa9"), "Fr\xc3\xa9");
  EXPECT_EQ(escaped_html(std::string_view("\x00\x1b\x7f\n", 4)), "???\n");
}

// The test vectors of RFC 4648, section 10, and bytes above 127.
TEST(Base64, TestVectors) {
  const auto encoded = [](std::string_view text) {
    return base64({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  };
  EXPECT_EQ(encoded(""), "");
  EXPECT_EQ(encoded("f"), "Zg==");
  EXPECT_EQ(encoded("fo"), "Zm8=");
  EXPECT_EQ(encoded("foo"), "Zm9v");
  EXPECT_EQ(encoded("foob"), "Zm9vYg==");
  EXPECT_EQ(encoded("foobar"), "Zm9vYmFy");
  EXPECT_EQ(encoded("\xff\xfe\xfb"), "//77");
}

}  // namespace
}  // namespace l2c
