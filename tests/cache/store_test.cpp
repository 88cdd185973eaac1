#include "l2c/cache/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "cache/support.h"
#include "l2c/core/error.h"

namespace l2c {
namespace {

using test::message_of;
using ::testing::HasSubstr;

TEST(CacheStoreTest, KeepsAFixedAddressUntilDropped) {
  CacheStore store(2, 3, 4, at::kFloat);
  const at::Tensor slot = store.slot({0, 5, 0});
  EXPECT_EQ(slot.sizes().vec(), (std::vector<std::int64_t>{2, 3, 4}));
  EXPECT_TRUE(slot.is_contiguous());
  EXPECT_EQ(slot.scalar_type(), at::kFloat);
  EXPECT_EQ(store.slot({0, 5, 0}).const_data_ptr(), slot.const_data_ptr());
  EXPECT_EQ(store.stored({0, 5, 0}).const_data_ptr(), slot.const_data_ptr());
}

TEST(CacheStoreTest, PassUnitAndAgeHaveSlotsOfTheirOwn) {
  CacheStore store(1, 1, 1, at::kFloat);
  int count = 0;
  for (int pass = 0; pass < 2; ++pass) {
    for (int unit = 0; unit < 2; ++unit) {
      for (int age = 0; age < 2; ++age) store.slot({pass, unit, age}).fill_(count++);
    }
  }
  EXPECT_EQ(store.stored({0, 0, 0}).item<float>(), 0);
  EXPECT_EQ(store.stored({0, 1, 0}).item<float>(), 2);
  EXPECT_EQ(store.stored({1, 0, 1}).item<float>(), 5);
  EXPECT_EQ(store.bytes(), 8 * sizeof(float));
}

TEST(CacheStoreTest, CountsBytesInItsDtypeAndRemembersThePeak) {
  CacheStore store(2, 3, 4, at::kBFloat16);
  EXPECT_EQ(store.bytes(), 0U);
  store.slot({0, 0, 0});
  store.slot({0, 1, 0});
  EXPECT_EQ(store.bytes(), 2 * 48U);
  store.drop({0, 0, 0});
  store.drop({0, 0, 0});  // a second time does nothing
  EXPECT_EQ(store.bytes(), 48U);
  store.slot({0, 2, 0});
  EXPECT_EQ(store.bytes(), 96U);
  EXPECT_EQ(store.peak_bytes(), 96U);
}

TEST(CacheStoreTest, SaysWhatIsNotStored) {
  CacheStore store(1, 1, 1, at::kFloat);
  EXPECT_THAT(message_of<Error>([&] {
                (void)store.stored({1, 7, 2});
              }),
              HasSubstr("nothing is stored for pass 1, unit 7, age 2"));
  store.slot({1, 7, 2});
  store.drop({1, 7, 2});
  EXPECT_THAT(message_of<Error>([&] {
                (void)store.stored({1, 7, 2});
              }),
              HasSubstr("nothing is stored"));
}

TEST(CacheStoreTest, RejectsEmptyShapes) {
  EXPECT_THAT(message_of<InputError>([] { CacheStore(0, 3, 4, at::kFloat); }),
              HasSubstr("[0, 3, 4]"));
  EXPECT_THAT(message_of<InputError>([] { CacheStore(1, 3, -4, at::kFloat); }),
              HasSubstr("[1, 3, -4]"));
}

}  // namespace
}  // namespace l2c
