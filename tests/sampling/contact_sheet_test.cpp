#include "l2c/sampling/contact_sheet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "images.h"
#include "l2c/core/error.h"

namespace l2c {
namespace {

Image image(int channels, std::uint8_t value, int size = 2) {
  io::Bitmap bitmap{.width = size, .height = size, .channels = channels, .pixels = {}};
  bitmap.pixels.assign(static_cast<std::size_t>(size * size * channels), value);
  return {.label = 0, .index = 0, .bitmap = bitmap};
}

TEST(ContactSheet, PutsImagesInRowsWithMargins) {
  auto sheet = contact_sheet({image(1, 10), image(1, 20), image(1, 30)}, 2);
  EXPECT_EQ(sheet.width, 2 + 2 * 4);
  EXPECT_EQ(sheet.height, 2 + 2 * 4);
  EXPECT_EQ(*sheet.at(0, 0), 255);
  EXPECT_EQ(*sheet.at(2, 2), 10);
  EXPECT_EQ(*sheet.at(3, 7), 20);
  EXPECT_EQ(*sheet.at(6, 2), 30);
  EXPECT_EQ(*sheet.at(6, 6), 255) << "the last row is short";
}

TEST(ContactSheet, IsRgbWhenAnyImageIs) {
  auto sheet = contact_sheet({image(1, 10), image(3, 20)}, 2);
  EXPECT_EQ(sheet.channels, 3);
  EXPECT_EQ(sheet.at(2, 2)[2], 10);
  EXPECT_EQ(sheet.at(2, 6)[1], 20);
}

TEST(ContactSheet, StacksSheetsOfOneWidth) {
  const auto above = contact_sheet({image(1, 10)}, 1);
  auto both = stack(above, contact_sheet({image(1, 20)}, 1));
  EXPECT_EQ(both.height, 6 + 8 + 6);
  EXPECT_EQ(*both.at(2, 2), 10);
  EXPECT_EQ(*both.at(6 + 8 + 2, 2), 20);
  EXPECT_THROW((void)stack(above, contact_sheet({image(1, 1), image(1, 1)}, 2)), InputError);
}

TEST(ContactSheet, RefusesWhatMakesNoSheet) {
  EXPECT_THAT([] { (void)contact_sheet({}, 1); },
              testing::ThrowsMessage<InputError>(testing::HasSubstr("at least one image")));
  EXPECT_THAT([] { (void)contact_sheet({image(1, 0)}, 0); },
              testing::ThrowsMessage<InputError>(testing::HasSubstr("0 columns")));
  EXPECT_THAT([] { (void)contact_sheet({image(1, 0), image(1, 0, 3)}, 2); },
              testing::ThrowsMessage<InputError>(testing::HasSubstr("one size")));
}

TEST(Bitmap, PixelsFollowTheOfficialRounding) {
  const auto sample = at::tensor({-2.0F, -1.0F, 0.0F, 1.0F}).reshape({1, 2, 2});
  const auto bitmap = to_bitmap(sample);
  EXPECT_EQ(bitmap.channels, 1);
  EXPECT_THAT(bitmap.pixels, testing::ElementsAre(0, 0, 128, 255));
}

TEST(Bitmap, RgbIsInterleaved) {
  const auto sample = at::tensor({-1.0F, 0.0F, 1.0F}).reshape({3, 1, 1});
  EXPECT_THAT(to_bitmap(sample).pixels, testing::ElementsAre(0, 128, 255));
}

TEST(Bitmap, LatentsGetAPreviewOfTheirFirstThreeChannels) {
  const auto sample = at::tensor({-3.0F, 0.0F, 3.0F, 99.0F}).reshape({4, 1, 1});
  EXPECT_THAT(to_bitmap(sample).pixels, testing::ElementsAre(0, 127, 255));
}

}  // namespace
}  // namespace l2c
