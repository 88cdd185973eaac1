#include "l2c/evaluation/reference.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "features.h"
#include "l2c/core/error.h"
#include "l2c/core/hash.h"
#include "l2c/core/torch_errors.h"

namespace l2c {

namespace {

// `count` of 0 ... size - 1, evenly spread: data sorted by class is drawn on evenly, too.
at::Tensor spread_rows(std::int64_t size, std::int64_t count) {
  const auto rows = at::empty({count}, at::kLong);
  auto* row = rows.mutable_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < count; ++i) row[i] = i * size / count;
  return rows;
}

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
                                .recognised = 0};
  std::vector<at::Tensor> features;
  for (std::int64_t first = 0; first < info.size; first += options.batch_size) {
    check_stop(stop, "looking at the reference images");
    std::vector<std::int64_t> numbers(
        static_cast<std::size_t>(std::min(options.batch_size, info.size - first)));
    std::iota(numbers.begin(), numbers.end(), first);
    const auto batch = data.batch(numbers);
    const auto found = extract_features(network, batch.x, info.num_classes);
    reference.recognised += recognised(found.probabilities, batch.y);
    features.push_back(found.features);
    if (progress) progress(first + static_cast<std::int64_t>(numbers.size()), info.size);
  }
  const auto all = at::cat(features);
  reference.gaussian = gaussian_statistics(feature_rows(all));
  reference.features =
      all.index_select(0, spread_rows(info.size, std::min(options.subset, info.size)));
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
  const auto& [rows, mean, covariance] = reference.gaussian;
  hash.number(static_cast<std::int64_t>(mean.size()));
  hash.bytes(mean.data(), mean.size() * sizeof(double));
  hash.bytes(covariance.data(), covariance.size() * sizeof(double));
  hash_tensor(hash, reference.features);
  return hash.hex();
}

}  // namespace l2c
