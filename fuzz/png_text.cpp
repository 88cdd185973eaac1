// Pictures and the text in them.
#include "l2c/io/png_text.h"

#include <cstddef>
#include <optional>
#include <string>

#include "l2c/io/image.h"
#include "reading.h"

namespace l2c::fuzz {

namespace {

void check_pixels(const io::Bitmap& bitmap) {
  require(bitmap.channels == 1 || bitmap.channels == 3, "neither gray nor RGB");
  const auto expected = static_cast<std::size_t>(bitmap.width) *
                        static_cast<std::size_t>(bitmap.height) *
                        static_cast<std::size_t>(bitmap.channels);
  require(bitmap.pixels.size() == expected, "a number of pixels that is not its size's");
}

}  // namespace

void png_text(Bytes bytes) {
  constexpr const char* keyword = "l2c";
  const auto& path = file_of(bytes);
  std::optional<std::string> text;
  const bool sound = accepted(path.native(), [&] { text = io::read_png_text(path, keyword); });
  accepted(path.native(), [&] { check_pixels(io::read_image(path)); });
  if (!sound) return;
  // What has sound chunks can be given a text, which is then found: once.
  const auto with_text = io::with_png_text(bytes, keyword, "{}");
  (void)file_of(with_text);
  std::optional<std::string> again;
  const bool found = accepted(path.native(), [&] { again = io::read_png_text(path, keyword); });
  require(found != text.has_value(), "a text is taken twice, or not at all");
  require(!found || again == "{}", "another text than was written");
}

}  // namespace l2c::fuzz
