#include "points.h"

#include <fmt/format.h>

#include "l2c/core/error.h"
#include "l2c/sweep/grid.h"

namespace l2c {

namespace {

Spread above(const PolicyResult& result, const PolicyResult& full) {
  std::vector<double> percent;
  for (std::size_t k = 0; k < result.seeds.size(); ++k) {
    const double least = full.seeds[k].quality.frechet;
    if (!(least > 0)) {
      throw RunError(fmt::format(
          "computing everything has a Frechet distance of {} with seed {}: nothing can be a "
          "percentage of it; compare with other images",
          least, full.seeds[k].seed));
    }
    percent.push_back(100 * (result.seeds[k].quality.frechet / least - 1));
  }
  return spread(percent);
}

SweepNumbers numbers_of(const PolicyResult& result, const PolicyResult& full) {
  SweepNumbers numbers{.frechet_by_seed = {},
                       .frechet = result.frechet,
                       .kid = result.kid,
                       .precision = result.precision,
                       .recall = result.recall,
                       .inception_score = result.inception_score,
                       .accuracy = result.accuracy,
                       .above_full = above(result, full),
                       .seconds_per_image = result.timing.seconds_per_image,
                       .seconds_quartiles = result.timing.seconds_per_image_quartiles,
                       .speedup = result.timing.speedup,
                       .speedup_quartiles = result.timing.speedup_quartiles};
  for (const auto& seed : result.seeds) numbers.frechet_by_seed.push_back(seed.quality.frechet);
  return numbers;
}

// Of computing everything in all steps.
double full_flops(const EvaluationReport& report, const ForwardCost& cost) {
  const double rows = report.options.request.guidance == 1 ? 1 : 2;
  const auto& full = report.policies.front();
  return 2 * rows * full.steps * cost.total().truth;
}

}  // namespace

std::vector<SweepPoint> points_of(const EvaluationReport& report, const ForwardCost& cost) {
  const auto& full = report.policies.front();
  const double flops = full_flops(report, cost);
  std::vector<SweepPoint> points;
  for (const auto& result : report.policies) {
    points.push_back({.policy = result.spec.text,
                      .name = result.spec.name,
                      .family = family_of(result.spec),
                      .identity = result.spec.identity,
                      .steps = result.steps,
                      .ideal_speedup = result.ideal_speedup,
                      .computed_share = result.computed_share,
                      .flops = flops / result.ideal_speedup,
                      .cache_bytes = result.cache_bytes,
                      .use = {},
                      .reproduce = {},
                      .choosing = numbers_of(result, full),
                      .reporting = {},
                      .plan = {},
                      .images = {}});
  }
  return points;
}

std::vector<Image> first_images(const SampleSet& set, int count) {
  std::vector<Image> images;
  for (int shard = 0; shard < set.shards() && static_cast<int>(images.size()) < count; ++shard) {
    const auto part = set.images(shard);
    const auto pixels = part.images.permute({0, 2, 3, 1}).contiguous();
    for (std::int64_t i = 0; i < pixels.size(0) && static_cast<int>(images.size()) < count; ++i) {
      const auto picture = pixels[i].contiguous();
      Image image{.label = static_cast<int>(part.labels[i].item<std::int64_t>()),
                  .index = static_cast<int>(images.size()),
                  .bitmap = {.width = static_cast<int>(picture.size(1)),
                             .height = static_cast<int>(picture.size(0)),
                             .channels = static_cast<int>(picture.size(2)),
                             .pixels = {}}};
      const auto* first = picture.data_ptr<std::uint8_t>();
      image.bitmap.pixels.assign(first, first + picture.numel());
      images.push_back(std::move(image));
    }
  }
  return images;
}

}  // namespace l2c
