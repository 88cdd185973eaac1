#include "l2c/evaluation/quality.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "features.h"
#include "l2c/core/error.h"
#include "l2c/core/torch_errors.h"

namespace l2c {

namespace {

void check_images(const at::Tensor& images, const ReferenceStatistics& reference) {
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

Quality measure(const SampleSet& samples, const FeatureNetwork& network,
                const ReferenceStatistics& reference, const QualityOptions& options,
                const std::stop_token& stop) {
  check_network(network, reference);
  const auto blocks = inception_blocks(samples.size(), options);
  Quality quality;
  std::vector<at::Tensor> features;
  std::vector<at::Tensor> probabilities;
  for (int shard = 0; shard < samples.shards(); ++shard) {
    check_stop(stop, "looking at the generated images");
    const auto [images, labels] = samples.images(shard);
    check_images(images, reference);
    auto found =
        extract_features(network, images.to(at::kFloat).div(127.5).sub(1), reference.num_classes);
    quality.recognised += recognised(found.probabilities, labels);
    features.push_back(std::move(found.features));
    probabilities.push_back(std::move(found.probabilities));
  }
  const auto fake = at::cat(features);
  const auto softmax = at::cat(probabilities);
  quality.images = fake.size(0);
  quality.frechet = frechet_distance(reference.gaussian, gaussian_statistics(feature_rows(fake)));
  quality.kid = kernel_inception_distance(feature_rows(reference.features), feature_rows(fake));
  const auto manifold =
      precision_recall(feature_rows(reference.features), feature_rows(fake), options.neighbour);
  quality.precision = manifold.precision;
  quality.recall = manifold.recall;
  quality.inception_score = inception_score(feature_rows(softmax), blocks.rows);
  quality.accuracy = share_interval(quality.recognised, quality.images);
  return quality;
}

}  // namespace

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
