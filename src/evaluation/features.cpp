#include "features.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "l2c/core/error.h"

namespace l2c {

namespace {

void check(const at::Tensor& tensor, const char* name, std::int64_t rows,
           const FeatureNetwork& network) {
  if (!tensor.defined() || tensor.dim() != 2 || tensor.size(0) != rows || tensor.size(1) < 1 ||
      tensor.scalar_type() != at::kFloat) {
    throw InputError(fmt::format(
        "the feature network ({}) gave {} of shape [{}]; expected fp32 [{}, at least 1]",
        network.description(), name,
        tensor.defined() ? fmt::format("{}", fmt::join(tensor.sizes(), ", ")) : "", rows));
  }
  if (!tensor.isfinite().all().item<bool>()) {
    throw InputError(fmt::format("the feature network ({}) gave {} that are not finite",
                                 network.description(), name));
  }
}

}  // namespace

Features extract_features(const FeatureNetwork& network, const at::Tensor& pixels, int classes) {
  const at::NoGradGuard no_autograd;
  Features features = network.extract(pixels);
  const auto rows = pixels.size(0);
  check(features.features, "features", rows, network);
  if (features.spatial.defined()) check(features.spatial, "spatial features", rows, network);
  if (network.knows_labels() || features.probabilities.defined()) {
    check(features.probabilities, "probabilities", rows, network);
  }
  if (network.knows_labels() && features.probabilities.size(1) != classes) {
    throw InputError(
        fmt::format("the feature network ({}) knows {} classes, the images have {}: take a network "
                    "that was trained on these classes",
                    network.description(), features.probabilities.size(1), classes));
  }
  for (auto* tensor : {&features.features, &features.probabilities, &features.spatial}) {
    if (tensor->defined()) *tensor = tensor->cpu().contiguous();
  }
  return features;
}

void check_network(const FeatureNetwork& network, const ReferenceStatistics& reference) {
  if (network.fingerprint() == reference.network_fingerprint) return;
  throw InputError(
      fmt::format("the reference statistics were measured with another network ({}, fingerprint "
                  "{}) than this one ({}, fingerprint {}): measure them again",
                  reference.network, reference.network_fingerprint, network.description(),
                  network.fingerprint()));
}

std::int64_t recognised(const at::Tensor& probabilities, const at::Tensor& labels) {
  return probabilities.argmax(1).eq(labels).sum().item<std::int64_t>();
}

FeatureRows feature_rows(const at::Tensor& features) {
  return {.values = std::span<const float>(features.const_data_ptr<float>(),
                                           static_cast<std::size_t>(features.numel())),
          .rows = features.size(0),
          .width = features.size(1)};
}

at::Tensor spread_rows(std::int64_t size, std::int64_t count) {
  const auto rows = at::empty({count}, at::kLong);
  auto* row = rows.mutable_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < count; ++i) row[i] = i * size / count;
  return rows;
}

void check_stop(const std::stop_token& stop, const char* doing) {
  if (stop.stop_requested()) throw Cancelled(fmt::format("cancelled while {}", doing));
}

}  // namespace l2c
