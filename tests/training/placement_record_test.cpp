// A search that was stopped goes on from what it has tried.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "l2c/cache/fitted_recall.h"
#include "l2c/core/error.h"
#include "l2c/io/file.h"
#include "l2c/training/router_placement.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Throws;
using testing::ThrowsMessage;

// Counts calls.
class Counting final : public Denoiser {
 public:
  explicit Counting(std::shared_ptr<const Denoiser> model) : model_(std::move(model)) {}
  at::Tensor forward(const at::Tensor& x, const at::Tensor& t, const at::Tensor& y,
                     BranchRunner& runner) const override {
    ++calls;
    return model_->forward(x, t, y, runner);
  }
  const DenoiserInfo& info() const override { return model_->info(); }
  const ForwardCost& cost() const override { return model_->cost(); }
  at::Device device() const override { return model_->device(); }
  mutable int calls = 0;

 private:
  std::shared_ptr<const Denoiser> model_;
};

class PlacementRecordFile : public ::testing::Test {
 protected:
  void SetUp() override { options.record = folder / "search.json"; }
  PlacedRouter place(const std::function<void(int, double)>& progress = {},
                     const std::stop_token& stop = {}) {
    model->calls = 0;
    return place_router(model, options, progress, stop);
  }
  std::filesystem::path folder = test::scratch();
  std::shared_ptr<Counting> model = std::make_shared<Counting>(test::tiny_model());
  PlacementOptions options{.spacing = std::string("8"),
                           .full_steps = 3,
                           .target_speedup = {},
                           .recall = "taylor:1",
                           .images = 2,
                           .record = {}};
};

TEST_F(PlacementRecordFile, AStoppedSearchGoesOn) {
  options.record.clear();
  const auto expected = place();
  const int whole = model->calls;
  EXPECT_FALSE(std::filesystem::exists(folder / "search.json"));
  options.record = folder / "search.json";
  std::stop_source source;
  EXPECT_THAT(
      [&] {
        place(
            [&](int tried, double) {
              if (tried == 5) source.request_stop();
            },
            source.get_token());
      },
      Throws<Cancelled>());
  const int before = model->calls;
  const auto placed = place();
  EXPECT_EQ(placed.full_steps, expected.full_steps);
  EXPECT_EQ(placed.local_error, expected.local_error);
  EXPECT_EQ(placed.drift, expected.drift);
  EXPECT_EQ(placed.tried, expected.tried);
  EXPECT_EQ(placed.router.info().training, expected.router.info().training);
  // The run that computes everything is made again, 8 calls; in the first, no more than a step of
  // the placement after the stop was.
  EXPECT_LE(model->calls, whole - before + 8 + 2);
  EXPECT_GT(model->calls, 8);
  (void)place();
  EXPECT_EQ(model->calls, 8) << "everything is known";
}

TEST_F(PlacementRecordFile, OtherNumbersOfFullStepsShareIt) {
  options.full_steps = 4;
  options.record = folder / "alone.json";
  const auto expected = place();
  const int alone = model->calls;
  options.record = folder / "search.json";
  options.full_steps = 3;
  (void)place();
  options.full_steps = 4;
  const auto placed = place();
  EXPECT_EQ(placed.local_error, expected.local_error);
  EXPECT_EQ(placed.tried, expected.tried);
  EXPECT_LT(model->calls, alone);
}

TEST_F(PlacementRecordFile, OtherSettingsKeepTheirOwn) {
  (void)place();
  const auto first = io::read_text(options.record);
  const auto changed = [&](auto change) {
    const auto before = options;
    change(options);
    const auto placed = place();
    EXPECT_GT(model->calls, 3 * 8) << "nothing of the others is used";
    auto alone = options;
    alone.record.clear();
    EXPECT_EQ(placed.local_error, place_router(model, alone).local_error);
    options = before;
  };
  changed([](auto& o) { o.recall = "latest"; });
  changed([](auto& o) { o.guidance = 2; });
  changed([](auto& o) { o.images = 3; });
  changed([](auto& o) { o.seed = 1; });
  changed([](auto& o) { o.spacing = "10"; });
  (void)place();
  EXPECT_EQ(model->calls, 8) << "and what was there is kept";
}

// A file of products that was measured again has the old one's name.
TEST_F(PlacementRecordFile, AForecastIsKnownByItsContent) {
  const auto file = folder / "fit.safetensors";
  options.recall = fmt::format("fitted:{}@1", file.string());
  const auto place_with = [&](double last) {
    BranchProducts products(8, 8);
    std::vector<double> values(64, 1);
    values.back() = last;
    for (int unit = 0; unit < 8; ++unit) products.add(unit, values);
    products.save(file);
    (void)place();
    return model->calls;
  };
  EXPECT_GT(place_with(1), 3 * 8);
  EXPECT_EQ(place_with(1), 8) << "the same content";
  EXPECT_GT(place_with(2), 3 * 8) << "other content";
}

TEST_F(PlacementRecordFile, RefusesOtherFiles) {
  const auto refuses = [&](const char* text) {
    std::ofstream(options.record) << text;
    EXPECT_THAT([&] { place(); },
                ThrowsMessage<InputError>(
                    AllOf(HasSubstr("search.json is not the record"), HasSubstr("move it away"))))
        << text;
    EXPECT_EQ(io::read_text(options.record), text) << "left as it was";
  };
  refuses("{}");
  refuses("not JSON");
  refuses("[1]");
  refuses(R"({"format": "l2c placement searches 2", "searches": []})");
  refuses(R"({"format": "l2c placement searches 1", "searches": [{"settings": {}}]})");
  refuses(R"({"format": "l2c placement searches 1", "searches": [{"settings": {}, "tried": [)"
          R"({"full_steps": [0, "1"], "local": 1, "drift": 1}]}]})");
  options.record = folder / "absent" / "search.json";
  EXPECT_THAT([&] { place(); }, ThrowsMessage<InputError>(HasSubstr("absent")));
  EXPECT_EQ(model->calls, 0);
}

}  // namespace
}  // namespace l2c
