#include "l2c/evaluation/quality.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "features.h"
#include "l2c/core/error.h"
#include "l2c/core/torch_errors.h"

namespace l2c {

namespace {

void check_images(const at::Tensor& images, const ReferenceStatistics& reference) {
  if (reference.image_size == 0) return;  // statistics of images that nobody knows
  if (images.size(1) == reference.channels && images.size(2) == reference.image_size &&
      images.size(3) == reference.image_size) {
    return;
  }
  throw InputError(
      fmt::format("the images have {} channels of {} x {}, those of the reference ({}) {} of {} x "
                  "{}: compare with data of the same kind",
                  images.size(1), images.size(2), images.size(3), reference.data,
                  reference.channels, reference.image_size, reference.image_size));
}

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

// What the network says of all images.
struct Answers {
  std::vector<at::Tensor> features;
  std::vector<at::Tensor> probabilities;
  GaussianAccumulator spatial;
  bool has_spatial = false;
  std::int64_t recognised = 0;
};

Answers ask(const SampleSet& samples, const FeatureNetwork& network,
            const ReferenceStatistics& reference, const std::stop_token& stop) {
  Answers answers;
  for (int shard = 0; shard < samples.shards(); ++shard) {
    check_stop(stop, "looking at the generated images");
    const auto [images, labels] = samples.images(shard);
    check_images(images, reference);
    auto found =
        extract_features(network, images.to(at::kFloat).div(127.5).sub(1), reference.num_classes);
    if (network.knows_labels()) answers.recognised += recognised(found.probabilities, labels);
    answers.features.push_back(std::move(found.features));
    if (found.probabilities.defined()) {
      answers.probabilities.push_back(std::move(found.probabilities));
    }
    answers.has_spatial = found.spatial.defined();
    if (answers.has_spatial) answers.spatial.add(feature_rows(found.spatial));
  }
  return answers;
}

// KID, precision and recall.
void compare_rows(Quality& quality, const at::Tensor& real, const at::Tensor& fake,
                  const QualityOptions& options) {
  quality.kid = quality.precision = quality.recall = unknown;
  if (real.size(0) == 0) return;
  const auto some =
      fake.index_select(0, spread_rows(fake.size(0), std::min(options.kid_images, fake.size(0))));
  quality.kid = kernel_inception_distance(feature_rows(real), feature_rows(some));
  const auto manifold = precision_recall(feature_rows(real), feature_rows(fake), options.neighbour);
  quality.precision = manifold.precision;
  quality.recall = manifold.recall;
}

void score(Quality& quality, const std::vector<at::Tensor>& probabilities, std::int64_t block) {
  quality.inception_score = quality.inception_score_whole = unknown;
  if (probabilities.empty()) return;
  const auto softmax = at::cat(probabilities);
  quality.inception_score = inception_score(feature_rows(softmax), block);
  quality.inception_score_whole = inception_score(feature_rows(softmax), softmax.size(0));
}

Quality measure(const SampleSet& samples, const FeatureNetwork& network,
                const ReferenceStatistics& reference, const QualityOptions& options,
                const std::stop_token& stop) {
  check_network(network, reference);
  check_kid_images(options);
  const auto blocks = inception_blocks(samples.size(), options);
  auto answers = ask(samples, network, reference, stop);
  const auto fake = at::cat(std::exchange(answers.features, {}));
  Quality quality;
  quality.images = fake.size(0);
  quality.frechet = frechet_distance(reference.gaussian, gaussian_statistics(feature_rows(fake)));
  const bool spatial = answers.has_spatial && !reference.spatial.mean.empty();
  quality.spatial_frechet =
      spatial ? frechet_distance(reference.spatial, answers.spatial.statistics()) : unknown;
  check_stop(stop, "comparing the generated images");
  compare_rows(quality, reference.features, fake, options);
  score(quality, answers.probabilities, blocks.rows);
  quality.recognised = answers.recognised;
  quality.accuracy = network.knows_labels()
                         ? share_interval(quality.recognised, quality.images)
                         : Interval{.value = unknown, .low = unknown, .high = unknown};
  return quality;
}

}  // namespace

void check_kid_images(const QualityOptions& options) {
  if (options.kid_images >= 2) return;
  throw InputError(fmt::format("{} images for KID: give at least 2", options.kid_images));
}

InceptionBlocks inception_blocks(std::int64_t images, const QualityOptions& options) {
  if (images < 1 || options.inception_blocks < 1) {
    throw InputError(fmt::format("{} blocks for the inception score of {} images: give at least 1",
                                 options.inception_blocks, images));
  }
  auto blocks = std::min<std::int64_t>(options.inception_blocks, images);
  while (images % blocks != 0) --blocks;
  return {.blocks = blocks, .rows = images / blocks};
}

Quality measure_quality(const SampleSet& samples, const FeatureNetwork& network,
                        const ReferenceStatistics& reference, const QualityOptions& options,
                        std::stop_token stop) {
  Quality quality;
  with_our_errors("try fewer images, or close other programs",
                  [&] { quality = measure(samples, network, reference, options, stop); });
  return quality;
}

}  // namespace l2c
