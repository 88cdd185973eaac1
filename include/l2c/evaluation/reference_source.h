// Where the statistics of real images come from: images, or statistics that are there already.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "l2c/datasets/dataset.h"
#include "l2c/evaluation/feature_network.h"
#include "l2c/evaluation/reference.h"

namespace l2c {

// Means and covariances of an .npz file: "mu", "sigma", and, of spatial features, "mu_s",
// "sigma_s" (OpenAI's guided-diffusion; pytorch-fid writes the first two). Which network measured
// them, the file does not say.
struct KnownStatistics {
  std::string source;  // the file, for people
  std::string fingerprint;
  GaussianStatistics gaussian;  // rows 0: not known
  GaussianStatistics spatial;   // empty where the file has none
};
// Nothing where the file has no "mu". Throws InputError that names file and array: damaged, sizes
// that do not fit, values that are not finite.
std::optional<KnownStatistics> read_known_statistics(const std::filesystem::path& path);

// Immutable; thread-safe.
class ReferenceSource {
 public:
  // Told apart by content: a .safetensors file that kept_reference() or save_reference() made
  // ("mean" and "covariance"); a file named *.npz with images (arr_0), statistics (mu, ...) or
  // both; whatever else open_data() takes with these options. Files are mapped: they must stay as
  // they are while the source lives. Throws InputError that names the file: absent, damaged,
  // neither.
  static ReferenceSource open(const std::filesystem::path& path, const DataOptions& options = {});

  // Of the images. Of a kept file, what it says of them, with the number of features kept as the
  // size. Of statistics alone only the texts are known, and numbers are 0.
  [[nodiscard]] const DataInfo& info() const { return info_; }
  // Throws InputError: statistics of another network, or of another number of features; a network
  // that judges labels where the file has statistics, with images or without.
  void check(const FeatureNetwork& network) const;
  // Images are measured, and kept in `folder`, by kept_reference(); known statistics then take the
  // place of theirs (spatial ones where the file has them). Statistics alone come with features
  // [0, D] and rows 0. A kept file gives what it holds: `folder` and `options` are not used.
  // `progress` and `stop` are of the measuring, which may take minutes. Throws as check() and
  // kept_reference() do.
  [[nodiscard]] ReferenceStatistics statistics(const std::filesystem::path& folder,
                                               const FeatureNetwork& network,
                                               const ReferenceOptions& options = {},
                                               const CountFunction& progress = {},
                                               std::stop_token stop = {}) const;

 private:
  ReferenceSource() = default;
  DataInfo info_;
  std::shared_ptr<const DataSet> data_;
  std::optional<KnownStatistics> known_;
  std::optional<ReferenceStatistics> kept_;
};

}  // namespace l2c
