#include "l2c/cache/fitted_recall.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "cache/support.h"
#include "l2c/cache/policies.h"
#include "l2c/cache/store.h"
#include "l2c/core/error.h"

namespace l2c {
namespace {

using test::ddim_shape;
using test::FakeModel;
using test::message_of;
using ::testing::HasSubstr;

// Products of random outputs that drift like a random walk: outputs [evaluations, elements] fp64.
at::Tensor random_walk(int evaluations, int elements, std::int64_t seed) {
  at::manual_seed(static_cast<std::uint64_t>(seed));
  return at::randn({evaluations, elements}, at::kDouble).cumsum(0) + at::randn({1, elements});
}

BranchProducts products_of(const std::vector<at::Tensor>& outputs) {
  BranchProducts products(static_cast<int>(outputs[0].size(0)), static_cast<int>(outputs.size()));
  for (std::size_t unit = 0; unit < outputs.size(); ++unit) {
    const auto gram = at::mm(outputs[unit], outputs[unit].t()).contiguous();
    const auto* data = gram.const_data_ptr<double>();
    products.add(static_cast<int>(unit), {data, data + gram.numel()});
  }
  return products;
}

TEST(BranchProductsTest, FitIsLeastSquaresWithALittleRidge) {
  const auto walk = random_walk(7, 300, 3);
  const auto products = products_of({random_walk(7, 300, 2), walk});
  for (const auto& known : {std::vector<int>{4}, {4, 2}, {5, 3, 0}}) {
    std::vector<at::Tensor> rows;
    for (const int k : known) rows.push_back(walk[k]);
    const auto x = at::stack(rows);
    const auto gram = at::mm(x, x.t());
    const double ridge = 1e-4 * gram.trace().item<double>() / static_cast<double>(known.size());
    const auto left = gram + ridge * at::eye(gram.size(0), at::kDouble);
    const auto expected = at::linalg_solve(left, at::mv(x, walk[6]));
    const auto weights = products.fit(1, known, 6);
    ASSERT_EQ(weights.size(), known.size());
    for (std::size_t i = 0; i < known.size(); ++i) {
      EXPECT_NEAR(weights[i], expected[static_cast<std::int64_t>(i)].item<double>(), 1e-9);
    }
  }
}

TEST(BranchProductsTest, NothingMeasuredGivesNothing) {
  const BranchProducts products(4, 2);
  EXPECT_EQ(products.fit(0, {1, 0}, 2), (std::vector<double>{0, 0}));
  EXPECT_THAT(message_of<InputError>([] { BranchProducts(0, 2); }),
              HasSubstr("cannot be measured"));
  EXPECT_THAT(message_of<Error>([] { BranchProducts(2, 1).add(1, {1, 2, 3, 4}); }),
              HasSubstr("unit 1"));
  EXPECT_THAT(message_of<Error>([&] { (void)products.product(0, 4, 0); }),
              HasSubstr("evaluations 4 and 0"));
}

// The fake model's branches hold 100 * evaluation + unit in 24 elements.
TEST(BranchProductsTest, AreMeasuredOverWholeRuns) {
  BranchProducts products(3, 4);
  const auto shape = ddim_shape(2, 3);
  for (int run = 1; run <= 2; ++run) {
    CacheStore store(2, 3, 4, at::kFloat);
    FakeModel model(2, {2, 3, 4});
    const auto cache = MeasureProducts(products).start(shape, store, nullptr);
    for (const Evaluation& evaluation : shape.evaluations) {
      model.forward(evaluation.index, cache->begin(evaluation));
    }
    EXPECT_EQ(products.product(3, 1, 2), run * 24.0 * 103 * 203);
    EXPECT_EQ(products.product(0, 2, 2), run * 24.0 * 200 * 200);
    EXPECT_EQ(products.product(1, 0, 2), products.product(1, 2, 0));
  }
  CacheStore store(2, 3, 4, at::kFloat);
  EXPECT_THAT(message_of<InputError>(
                  [&] { (void)MeasureProducts(products).start(ddim_shape(2, 4), store, nullptr); }),
              HasSubstr("the run has 4 of 4"));
}

TEST(BranchProductsTest, AreReadAsTheyWereSaved) {
  auto products = products_of({random_walk(5, 20, 1), random_walk(5, 20, 2)});
  const auto file = std::filesystem::path(testing::TempDir()) / "products.safetensors";
  products.save(file);
  const auto read = BranchProducts::load(file);
  EXPECT_EQ(read.fingerprint(), products.fingerprint());
  EXPECT_EQ(read.product(1, 4, 2), products.product(1, 4, 2));
  products.add(0, std::vector<double>(25, 1));
  EXPECT_NE(read.fingerprint(), products.fingerprint());
  const auto router = std::filesystem::path(testing::TempDir()) / "router.safetensors";
  test::random_router(4, 4, 1).save(router);
  EXPECT_THAT(message_of<InputError>([&] { (void)BranchProducts::load(router); }),
              HasSubstr("holds no branch products"));
}

TEST(FittedRecallTest, ForecastsByThePlansOwnHistory) {
  const auto products = products_of({random_walk(6, 50, 1), random_walk(6, 50, 2)});
  const FittedRecall recall(products, 2, "some/where/mine.safetensors");
  EXPECT_EQ(recall.name(), "fitted:mine@2");
  EXPECT_EQ(recall.depth(), 2);
  const auto shape = ddim_shape(1, 6);
  auto plan = *EveryN(2).plan(shape);
  plan.recall_by(recall, shape);
  const auto terms = plan.terms(5, 1);
  const auto expected = products.fit(1, {4, 2}, 5);
  ASSERT_EQ(terms.size(), 2U);
  EXPECT_EQ(terms[0], (RecallTerm{4, static_cast<float>(expected[0])}));
  EXPECT_EQ(terms[1], (RecallTerm{2, static_cast<float>(expected[1])}));
  EXPECT_EQ(plan.terms(1, 0).size(), 1U);
  EXPECT_NE(FittedRecall(products, 2).identity(), FittedRecall(products, 3).identity());
  EXPECT_THAT(message_of<InputError>([&] { FittedRecall(products, 9); }), HasSubstr("1 to 8"));
}

TEST(FittedRecallTest, IsForTheRunItWasFittedTo) {
  const BranchProducts products(6, 2, {"abc", "6", "ddim"});
  const FittedRecall recall(products, 2, "mine");
  auto shape = ddim_shape(1, 6, "6");
  shape.sampler = "ddim";
  shape.fingerprint = "abc";
  recall.check(shape);
  shape.fingerprint.clear();
  recall.check(shape);
  const auto message = [&](auto change) {
    RunShape other = shape;
    change(other);
    return message_of<InputError>([&] { recall.check(other); });
  };
  EXPECT_THAT(message([](RunShape& run) { run.blocks = 2; }), HasSubstr("the run has 6 of 4"));
  EXPECT_THAT(message([](RunShape& run) { run.spacing = "ddim6"; }), HasSubstr("spacing 6"));
  EXPECT_THAT(message([](RunShape& run) { run.sampler = "ddpm"; }), HasSubstr("sampler ddim"));
  EXPECT_THAT(message([](RunShape& run) { run.fingerprint = "x"; }), HasSubstr("fingerprint abc"));
}

}  // namespace
}  // namespace l2c
