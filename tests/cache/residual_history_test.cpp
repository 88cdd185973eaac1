#include "residual_history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cache/range_support.h"
#include "cache/support.h"
#include "image_rows.h"
#include "l2c/core/error.h"
#include "support/golden.h"

namespace l2c {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Rows = std::vector<std::int64_t>;
constexpr std::int64_t slot_bytes = 3 * 2 * 4 * sizeof(float);

// Three rows; the tokens of a stream are 100 everywhere.
class History : public ::testing::Test {
 protected:
  // The rows' residuals at an evaluation are 10 * evaluation + row.
  void keep(ResidualHistory& history, const Rows& rows, int evaluation) {
    const at::Tensor input = at::full({3, 2, 4}, 7.0);
    const at::Tensor residual =
        (at::arange(3, at::kFloat) + 10.0 * evaluation).view({3, 1, 1}).expand({3, 2, 4});
    history.keep(rows, input, input + residual, {evaluation, 0});
  }
  // What each row's tokens have become.
  static std::vector<float> added(const ResidualHistory& history, const Rows& rows,
                                  int evaluation) {
    ops::ResidualStream stream(at::full({3, 2, 4}, 100.0));
    history.add_to(stream, rows, {evaluation, 0});
    const at::Tensor tokens = stream.tokens();
    const at::Tensor first = tokens.select(1, 0).select(1, 0).contiguous();
    test::expect_equal(tokens, first.view({3, 1, 1}).expand({3, 2, 4}), "alike in a row");
    const auto* values = first.const_data_ptr<float>();
    return {values, values + 3};
  }
  CacheStore store{3, 2, 4, at::kFloat};
  Latest latest;
  test::Line line;
};

TEST_F(History, GivesTheLatestOfEachRow) {
  ResidualHistory history(store, {0, 5, 0}, latest);
  EXPECT_FALSE(history.knows(0));
  keep(history, {0, 1, 2}, 1);
  EXPECT_TRUE(history.knows(2));
  keep(history, {1}, 2);
  EXPECT_THAT(added(history, {0, 1, 2}, 3), ElementsAre(110, 121, 112));
  EXPECT_THAT(added(history, {1, 2}, 3), ElementsAre(100, 121, 112));
  EXPECT_THAT(added(history, {}, 3), ElementsAre(100, 100, 100));
  EXPECT_EQ(store.peak_bytes(), slot_bytes);
  EXPECT_TRUE(store.stored({0, 5, 0}).defined());
}

// Rows may know values of unlike moments, so that weights are a row's own.
TEST_F(History, RecallsEachRowByItsOwnMoments) {
  ResidualHistory history(store, {0, 5, 0}, line);
  keep(history, {0, 1, 2}, 0);
  EXPECT_THAT(added(history, {0, 1, 2}, 5), ElementsAre(100, 101, 102));
  keep(history, {1}, 1);
  keep(history, {2}, 2);
  // A residual grows by 10 an evaluation; row 0 knows one value only.
  EXPECT_THAT(added(history, {0, 1, 2}, 5), ElementsAre(100, 151, 152));
  keep(history, {0, 1, 2}, 4);
  keep(history, {0, 1, 2}, 6);
  EXPECT_THAT(added(history, {0, 1, 2}, 8), ElementsAre(180, 181, 182));
  EXPECT_THAT(added(history, {0, 2}, 8), ElementsAre(180, 100, 182));
  EXPECT_EQ(store.peak_bytes(), 2 * slot_bytes);
}

TEST_F(History, ForgetsAndGivesItsMemoryBack) {
  ResidualHistory history(store, {0, 5, 0}, line);
  keep(history, {0, 1, 2}, 0);
  keep(history, {0, 1, 2}, 1);
  history.clear();
  EXPECT_EQ(store.bytes(), 0U);
  EXPECT_FALSE(history.knows(0));
}

TEST_F(History, SaysWhatIsWrong) {
  ResidualHistory history(store, {0, 5, 0}, latest);
  keep(history, {0}, 0);
  EXPECT_THAT(test::message_of<Error>([&] { added(history, {0, 1}, 1); }),
              HasSubstr("nothing is stored for batch row 1"));
  EXPECT_THAT(test::message_of<Error>([&] { added(history, {3}, 1); }),
              HasSubstr("batch row 3 is outside the cache store, which has rows 0 to 2"));

  class Wrong final : public Recall {
   public:
    explicit Wrong(int depth) : depth_(depth) {}
    [[nodiscard]] std::string name() const override { return "wrong"; }
    [[nodiscard]] int depth() const override { return depth_; }
    [[nodiscard]] std::vector<double> weights(int, std::span<const Moment>,
                                              const Moment&) const override {
      return {1, 1};
    }

   private:
    int depth_;
  };
  const Wrong none(0);
  EXPECT_THAT(test::message_of<Error>([&] { ResidualHistory(store, {0, 6, 0}, none); }),
              HasSubstr("recall 'wrong' looks back on 0 values"));
  const Wrong many(1);
  ResidualHistory short_history(store, {0, 6, 0}, many);
  keep(short_history, {0, 1, 2}, 0);
  EXPECT_THAT(test::message_of<Error>([&] { added(short_history, {0}, 1); }),
              HasSubstr("recall 'wrong' has 2 weights for 1 known values"));
}

TEST(ImageRowsTest, PairsTheHalvesOfAGuidedBatch) {
  const ImageRows guided(6, 2);
  EXPECT_EQ(guided.images(), 3U);
  EXPECT_THAT(guided.rows_where({1, 0, 1}, true), ElementsAre(0, 2, 3, 5));
  EXPECT_THAT(guided.rows_where({1, 0, 1}, false), ElementsAre(1, 4));
  EXPECT_THAT(ImageRows(3, 1).rows_where({1, 0, 1}, true), ElementsAre(0, 2));
  EXPECT_THAT(test::message_of<Error>([] { ImageRows(3, 2); }), HasSubstr("3 batch rows"));
}

TEST(ImageRowsTest, AnImagesChangeIsOfBothItsRowsAndOfNoOther) {
  at::manual_seed(1);
  const at::Tensor before = at::randn({4, 500, 9});
  const at::Tensor now = before + 0.1 * at::randn({4, 500, 9});
  const auto changes = ImageRows(4, 2).relative_change(now, before);
  ASSERT_EQ(changes.size(), 2U);
  for (std::int64_t image = 0; image < 2; ++image) {
    const at::Tensor rows = at::tensor({image, image + 2});
    const at::Tensor a = now.index_select(0, rows);
    const at::Tensor b = before.index_select(0, rows);
    const double change = changes[static_cast<std::size_t>(image)];
    EXPECT_NEAR(change, test::relative_l1(a, b), 1e-5);
    EXPECT_EQ(ImageRows(2, 2).relative_change(a, b)[0], change) << "the same bits alone";
  }
  EXPECT_NEAR(ImageRows(4, 2).relative_change(now, before.to(at::kBFloat16))[0], changes[0], 1e-3);
}

}  // namespace
}  // namespace l2c
