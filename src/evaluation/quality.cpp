#include "l2c/evaluation/quality.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "features.h"
#include "l2c/core/error.h"

namespace l2c {

namespace {

void check_network(const FeatureNetwork& network, const ReferenceStatistics& reference) {
  if (network.fingerprint() == reference.network_fingerprint) return;
  throw InputError(
      fmt::format("the reference statistics were measured with another network ({}, fingerprint "
                  "{}) than this one ({}, fingerprint {}): measure them again",
                  reference.network, reference.network_fingerprint, network.description(),
                  network.fingerprint()));
}

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

// The largest number of blocks up to `most` that divides the rows.
std::int64_t block_rows(std::int64_t rows, int most) {
  std::int64_t blocks = std::clamp<std::int64_t>(most, 1, rows);
  while (rows % blocks != 0) --blocks;
  return rows / blocks;
}

}  // namespace

Quality measure_quality(const SampleSet& samples, const FeatureNetwork& network,
                        const ReferenceStatistics& reference, const QualityOptions& options,
                        std::stop_token stop) {
  check_network(network, reference);
  if (options.inception_blocks < 1) {
    throw InputError(fmt::format("{} blocks for the inception score: give at least 1",
                                 options.inception_blocks));
  }
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
  quality.inception_score =
      inception_score(feature_rows(softmax), block_rows(quality.images, options.inception_blocks));
  quality.accuracy = share_interval(quality.recognised, quality.images);
  return quality;
}

}  // namespace l2c
