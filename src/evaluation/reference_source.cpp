#include "l2c/evaluation/reference_source.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <system_error>
#include <utility>

#include "features.h"
#include "gaussian_parts.h"
#include "l2c/core/error.h"
#include "l2c/core/hash.h"
#include "l2c/io/npz.h"
#include "l2c/io/safetensors.h"

namespace l2c {

namespace fs = std::filesystem;

namespace {

GaussianStatistics read_gaussian(const io::NpzFile& file, const std::string& mean_name,
                                 const std::string& covariance_name) {
  const auto mean = file.tensor(mean_name);
  const auto covariance = file.tensor(covariance_name);
  const auto width = mean.dim() == 1 ? mean.size(0) : 0;
  if (width < 1 || covariance.dim() != 2 || covariance.size(0) != width ||
      covariance.size(1) != width) {
    throw InputError(
        fmt::format("'{}': '{}' is [{}] and '{}' [{}]; expected a mean [D] and a covariance [D, D]",
                    file.path().string(), mean_name, fmt::join(mean.sizes(), ", "), covariance_name,
                    fmt::join(covariance.sizes(), ", ")));
  }
  if (!mean.isfinite().all().item<bool>() || !covariance.isfinite().all().item<bool>()) {
    throw InputError(fmt::format("'{}': '{}' or '{}' holds values that are not finite",
                                 file.path().string(), mean_name, covariance_name));
  }
  return {.rows = 0, .mean = doubles_of(mean), .covariance = doubles_of(covariance)};
}

bool is_kept_reference(const fs::path& path) {
  std::error_code error;
  if (path.extension() != ".safetensors" || !fs::is_regular_file(path, error)) return false;
  const auto file = io::SafetensorsFile::open(path);
  return file.contains("mean") && file.contains("covariance");
}

void check_width(const KnownStatistics& known, const GaussianStatistics& gaussian,
                 const at::Tensor& features, const char* what, const FeatureNetwork& network) {
  const auto width = static_cast<std::int64_t>(gaussian.mean.size());
  if (width == 0 || !features.defined() || features.size(1) == width) return;
  throw InputError(
      fmt::format("'{}' holds statistics of {} {}, the network ({}) gives {}: take the network "
                  "that they were measured with",
                  known.source, width, what, network.description(), features.size(1)));
}

void check_known(const KnownStatistics& known, const FeatureNetwork& network) {
  const auto gray = extract_features(network, at::zeros({1, 3, 32, 32}), 0);
  check_width(known, known.gaussian, gray.features, "features", network);
  check_width(known, known.spatial, gray.spatial, "spatial features", network);
}

}  // namespace

std::optional<KnownStatistics> read_known_statistics(const fs::path& path) {
  const auto file = io::NpzFile::open(path);
  if (!file.contains("mu")) return {};
  KnownStatistics known{.source = path.string(),
                        .fingerprint = {},
                        .gaussian = read_gaussian(file, "mu", "sigma"),
                        .spatial = {}};
  if (file.contains("mu_s")) known.spatial = read_gaussian(file, "mu_s", "sigma_s");
  Hash hash;
  hash_gaussian(hash, known.gaussian);
  hash_gaussian(hash, known.spatial);
  known.fingerprint = hash.hex();
  return known;
}

ReferenceSource ReferenceSource::open(const fs::path& path, const DataOptions& options) {
  ReferenceSource source;
  if (is_kept_reference(path)) {
    source.kept_ = load_reference(path);
    source.info_ = data_info(*source.kept_);
    return source;
  }
  std::error_code error;
  const bool npz = io::looks_like_npz(path) && !fs::is_directory(path, error);
  if (npz) source.known_ = read_known_statistics(path);
  if (source.known_ && !io::NpzFile::open(path).contains("arr_0")) {
    source.info_.description = fmt::format("the statistics in {}", path.string());
    source.info_.fingerprint = source.known_->fingerprint;
    return source;
  }
  source.data_ = open_data(path, options);
  source.info_ = source.data_->info();
  return source;
}

void ReferenceSource::check(const FeatureNetwork& network) const {
  if (kept_) return check_network(network, *kept_);
  if (!known_) return;
  if (network.knows_labels()) {
    throw InputError(fmt::format(
        "'{}' holds statistics of the Inception network: compare with it, or name images",
        known_->source));
  }
  check_known(*known_, network);
}

ReferenceStatistics ReferenceSource::statistics(const fs::path& folder,
                                                const FeatureNetwork& network,
                                                const ReferenceOptions& options,
                                                const CountFunction& progress,
                                                std::stop_token stop) const {
  check(network);
  if (kept_) return *kept_;
  ReferenceStatistics reference;
  if (data_) {
    reference = kept_reference(folder, *data_, network, options, progress, std::move(stop));
  } else {
    const auto width = static_cast<std::int64_t>(known_->gaussian.mean.size());
    reference.data = info_.description;
    reference.network = network.description();
    reference.network_fingerprint = network.fingerprint();
    reference.features = at::empty({0, width});
    reference.knows_labels = network.knows_labels();
  }
  if (!known_) return reference;
  if (data_) reference.data += " (mean and covariance as the file has them)";
  Hash hash;
  hash.text(info_.fingerprint);
  hash.text(known_->fingerprint);
  reference.data_fingerprint = hash.hex();
  reference.gaussian = known_->gaussian;
  if (!known_->spatial.mean.empty()) reference.spatial = known_->spatial;
  return reference;
}

}  // namespace l2c
