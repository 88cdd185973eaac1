#include "sweep_support.h"

#include "l2c/core/html.h"
#include "l2c/io/png.h"
#include "l2c/sweep/choice.h"

namespace l2c::test {

SweepNumbers numbers(double seconds, double percent, double full) {
  const double frechet = 10 * (1 + percent / 100);
  return {.frechet_by_seed = {frechet - 0.1, frechet + 0.1},
          .frechet = {.mean = frechet, .deviation = 0.14},
          .kid = {.mean = 0.006, .deviation = 0.0002},
          .precision = {.mean = 0.75, .deviation = 0.01},
          .recall = {.mean = 0.5, .deviation = 0.02},
          .inception_score = {.mean = 5, .deviation = 0.04},
          .accuracy = {.mean = 0.9, .deviation = 0.007},
          .above_full = {.mean = percent, .deviation = 0.3},
          .seconds_per_image = seconds,
          .seconds_quartiles = {.low = 0.99 * seconds, .high = 1.01 * seconds},
          .speedup = full / seconds,
          .speedup_quartiles = {.low = 0.98 * full / seconds, .high = 1.02 * full / seconds}};
}

SweepPoint measured(const std::string& name, double seconds, double percent) {
  SweepPoint point{.policy = name + ":1",
                   .name = name,
                   .family = name,
                   .identity = name,
                   .steps = 2,
                   .ideal_speedup = 1.1 / seconds,
                   .computed_share = seconds,
                   .flops = 3e9 * seconds,
                   .cache_bytes = 9'100'000,
                   .use = "l2c sample --policy " + name,
                   .reproduce = "l2c eval --policy " + name};
  point.choosing = numbers(seconds, percent);
  return point;
}

SweepRecord small_record() {
  const io::Bitmap pixels{.width = 2, .height = 1, .channels = 1, .pixels = {0, 255}};
  SweepRecord record{.command = "l2c sweep --out 'a & b'",
                     .model = "DiT <tiny>",
                     .images = 8,
                     .choosing_seeds = {0, 1},
                     .reporting_seeds = {7, 9},
                     .settings = {{"steps", "2"}, {"spacing", "2"}},
                     .machine = {{"processor", "some \"fast\" one"}},
                     .fingerprints = {{"model", "00ff"}},
                     .images_shown = 1};
  record.points = {measured("full", 1, 0), measured("fine", 0.8, 1.2), measured("fast", 0.5, 4),
                   measured("poor <&>", 0.9, 9), measured("adaptive", 0.85, 6)};
  record.points[0].family = "full";
  record.points[0].cache_bytes = 0;
  for (const std::size_t k : {0U, 1U, 2U}) {
    auto& point = record.points[k];
    point.on_front = true;
    point.images = base64(io::encode_png(pixels));
  }
  record.points[0].reporting = numbers(1.02, 0, 1.02);
  record.points[1].reporting = numbers(0.81, 1.6, 1.02);
  record.points[2].reporting = numbers(0.52, 4.4, 1.02);
  for (auto& point : record.points) point.plan = CachePlan(2, 4);
  record.points[1].plan->reuse(1, 2);
  for (int unit = 0; unit < 4; ++unit) record.points[2].plan->reuse(1, unit);
  record.points[3].plan->mark_cache_step(1);
  record.points[4].plan.reset();
  for (const auto& budget : {SweepBudget{.kind = SweepBudget::Kind::quality, .value = 2},
                             SweepBudget{.kind = SweepBudget::Kind::quality, .value = 0.5},
                             SweepBudget{.kind = SweepBudget::Kind::speedup, .value = 1.9}}) {
    record.recommendations.push_back(recommend(record.points, budget));
  }
  return record;
}

}  // namespace l2c::test
