#include "l2c/evaluation/reference.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <vector>

#include "features.h"
#include "gaussian_parts.h"
#include "l2c/core/error.h"
#include "l2c/core/hash.h"
#include "l2c/core/torch_errors.h"

namespace l2c {

namespace {

void check_options(const DataInfo& info, const ReferenceOptions& options) {
  if (info.size < 2) {
    throw InputError(fmt::format("{}: {} images are too few to compare with; at least 2 are needed",
                                 info.description, info.size));
  }
  if (options.subset < 2 || options.batch_size < 1) {
    throw InputError(fmt::format("a subset of {} images and batches of {}: give at least 2 and 1",
                                 options.subset, options.batch_size));
  }
}

void hash_tensor(Hash& hash, const at::Tensor& tensor) {
  for (const auto size : tensor.sizes()) hash.number(size);
  hash.bytes(tensor.const_data_ptr(), tensor.nbytes());
}

ReferenceStatistics measure(const DataSet& data, const FeatureNetwork& network,
                            const ReferenceOptions& options, const CountFunction& progress,
                            const std::stop_token& stop) {
  const DataInfo& info = data.info();
  check_options(info, options);
  ReferenceStatistics reference{.data = info.description,
                                .data_fingerprint = info.fingerprint,
                                .network = network.description(),
                                .network_fingerprint = network.fingerprint(),
                                .channels = info.channels,
                                .image_size = info.image_size,
                                .num_classes = info.num_classes,
                                .gaussian = {},
                                .features = {},
                                .recognised = 0,
                                .spatial = {},
                                .knows_labels = network.knows_labels()};
  const auto kept = spread_rows(info.size, std::min(options.subset, info.size));
  GaussianAccumulator gaussian;
  std::optional<GaussianAccumulator> spatial;
  std::vector<at::Tensor> features;
  for (std::int64_t first = 0; first < info.size; first += options.batch_size) {
    check_stop(stop, "looking at the reference images");
    std::vector<std::int64_t> numbers(
        static_cast<std::size_t>(std::min(options.batch_size, info.size - first)));
    std::iota(numbers.begin(), numbers.end(), first);
    const auto batch = data.batch(numbers);
    const auto found = extract_features(network, batch.x, info.num_classes);
    if (network.knows_labels()) reference.recognised += recognised(found.probabilities, batch.y);
    gaussian.add(feature_rows(found.features));
    if (found.spatial.defined()) {
      if (!spatial) spatial.emplace();
      spatial->add(feature_rows(found.spatial));
    }
    const auto last = first + static_cast<std::int64_t>(numbers.size());
    const auto mine = kept.masked_select(kept.ge(first).logical_and(kept.lt(last))) - first;
    features.push_back(found.features.index_select(0, mine));
    if (progress) progress(first + static_cast<std::int64_t>(numbers.size()), info.size);
  }
  reference.gaussian = gaussian.statistics();
  if (spatial) reference.spatial = spatial->statistics();
  reference.features = at::cat(features);
  return reference;
}

}  // namespace

ReferenceStatistics measure_reference(const DataSet& data, const FeatureNetwork& network,
                                      const ReferenceOptions& options,
                                      const CountFunction& progress, std::stop_token stop) {
  ReferenceStatistics reference;
  with_our_errors("try smaller batches of reference images, or close other programs",
                  [&] { reference = measure(data, network, options, progress, stop); });
  return reference;
}

DataInfo data_info(const ReferenceStatistics& reference) {
  return {.description = reference.data,
          .fingerprint = reference.data_fingerprint,
          .size = reference.features.size(0),
          .channels = reference.channels,
          .image_size = reference.image_size,
          .num_classes = reference.num_classes,
          .class_names = {}};
}

std::string fingerprint(const ReferenceStatistics& reference) {
  Hash hash;
  for (const auto& text : {reference.data_fingerprint, reference.network_fingerprint}) {
    hash.text(text);
  }
  for (const std::int64_t number :
       {std::int64_t{reference.channels}, std::int64_t{reference.image_size},
        std::int64_t{reference.num_classes}, reference.recognised, reference.gaussian.rows}) {
    hash.number(number);
  }
  hash_gaussian(hash, reference.gaussian);
  hash_tensor(hash, reference.features);
  if (!reference.spatial.mean.empty()) hash_gaussian(hash, reference.spatial);
  return hash.hex();
}

}  // namespace l2c
