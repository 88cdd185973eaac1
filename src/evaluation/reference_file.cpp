#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "features.h"
#include "gaussian_parts.h"
#include "l2c/core/error.h"
#include "l2c/core/log.h"
#include "l2c/evaluation/reference.h"
#include "l2c/io/folder_lock.h"
#include "l2c/io/safetensors.h"
#include "metadata.h"

namespace l2c {

namespace {

namespace fs = std::filesystem;

at::Tensor doubles(const std::vector<double>& values, at::IntArrayRef shape) {
  return at::tensor(at::ArrayRef<double>(values), at::kDouble).reshape(shape);
}

void check_tensors(const io::TensorMap& tensors, const fs::path& path) {
  const auto& mean = tensors.at("mean");
  const auto& covariance = tensors.at("covariance");
  const auto& features = tensors.at("features");
  const bool fit = mean.dim() == 1 && mean.scalar_type() == at::kDouble && covariance.dim() == 2 &&
                   covariance.scalar_type() == at::kDouble && features.dim() == 2 &&
                   features.scalar_type() == at::kFloat && covariance.size(0) == mean.size(0) &&
                   covariance.size(1) == mean.size(0) && features.size(1) == mean.size(0);
  if (fit) return;
  throw InputError(
      fmt::format("{}: expected \"mean\" f64 [D], \"covariance\" f64 [D, D] and \"features\" f32 "
                  "[M, D]",
                  path.string()));
}

// "spatial_mean" and "spatial_covariance", where the network gave such features.
GaussianStatistics read_spatial(const io::SafetensorsFile& file, std::int64_t rows) {
  if (!file.contains("spatial_mean")) return {};
  const auto mean = file.tensor("spatial_mean");
  const auto covariance = file.tensor("spatial_covariance");
  const bool fit = mean.dim() == 1 && mean.scalar_type() == at::kDouble &&
                   covariance.scalar_type() == at::kDouble && covariance.dim() == 2 &&
                   covariance.size(0) == mean.size(0) && covariance.size(1) == mean.size(0);
  if (!fit) {
    throw InputError(
        fmt::format("{}: expected \"spatial_mean\" f64 [S] and \"spatial_covariance\" f64 [S, S]",
                    file.path().string()));
  }
  return {.rows = rows, .mean = doubles_of(mean), .covariance = doubles_of(covariance)};
}

std::optional<ReferenceStatistics> load_kept(const fs::path& file) {
  std::error_code error;
  if (!fs::exists(file, error)) return {};
  try {
    return load_reference(file);
  } catch (const InputError& damage) {
    log::warning(fmt::format("measured again: {}", damage.what()));
    return {};
  }
}

bool belongs_to(const ReferenceStatistics& reference, const DataInfo& data,
                const FeatureNetwork& network, const ReferenceOptions& options) {
  return reference.data_fingerprint == data.fingerprint &&
         reference.network_fingerprint == network.fingerprint() &&
         reference.features.size(0) == std::min(options.subset, data.size);
}

struct Lock {
  io::FolderLock lock;
  bool waited;  // somebody else had it: what is kept may be new
};

// Waits for another evaluation that shares the folder and measures just now.
Lock lock_to_measure(const fs::path& folder, const std::stop_token& stop) {
  bool waited = false;
  while (true) {
    auto lock = io::FolderLock::attempt(folder, "work folder");
    if (lock) return {.lock = std::move(*lock), .waited = waited};
    if (!waited) log::info(fmt::format("waiting for the reference in '{}'", folder.string()));
    waited = true;
    check_stop(stop, "waiting for another evaluation's reference");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace

void save_reference(const fs::path& path, const ReferenceStatistics& reference) {
  const auto width = static_cast<std::int64_t>(reference.gaussian.mean.size());
  io::TensorMap tensors{{"mean", doubles(reference.gaussian.mean, {width})},
                        {"covariance", doubles(reference.gaussian.covariance, {width, width})},
                        {"features", reference.features}};
  if (const auto& spatial = reference.spatial; !spatial.mean.empty()) {
    const auto places = static_cast<std::int64_t>(spatial.mean.size());
    tensors["spatial_mean"] = doubles(spatial.mean, {places});
    tensors["spatial_covariance"] = doubles(spatial.covariance, {places, places});
  }
  io::write_safetensors(path, tensors,
                        {{"format", "l2c reference statistics 1"},
                         {"data", reference.data},
                         {"data_fingerprint", reference.data_fingerprint},
                         {"network", reference.network},
                         {"network_fingerprint", reference.network_fingerprint},
                         {"channels", fmt::format("{}", reference.channels)},
                         {"image_size", fmt::format("{}", reference.image_size)},
                         {"num_classes", fmt::format("{}", reference.num_classes)},
                         {"images", fmt::format("{}", reference.gaussian.rows)},
                         {"recognised", fmt::format("{}", reference.recognised)},
                         {"knows_labels", reference.knows_labels ? "1" : "0"},
                         {"fingerprint", fingerprint(reference)}});
}

ReferenceStatistics load_reference(const fs::path& path) {
  const auto file = io::SafetensorsFile::open(path);
  ReferenceStatistics reference;
  reference.data = metadata_text(file, "data");
  reference.data_fingerprint = metadata_text(file, "data_fingerprint");
  reference.network = metadata_text(file, "network");
  reference.network_fingerprint = metadata_text(file, "network_fingerprint");
  read_metadata(file, "channels", reference.channels);
  read_metadata(file, "image_size", reference.image_size);
  read_metadata(file, "num_classes", reference.num_classes);
  read_metadata(file, "images", reference.gaussian.rows);
  read_metadata(file, "recognised", reference.recognised);
  io::TensorMap tensors;
  for (const char* name : {"mean", "covariance", "features"}) tensors[name] = file.tensor(name);
  check_tensors(tensors, path);
  reference.gaussian.mean = doubles_of(tensors["mean"]);
  reference.gaussian.covariance = doubles_of(tensors["covariance"]);
  reference.features = tensors["features"].clone();
  reference.spatial = read_spatial(file, reference.gaussian.rows);
  // Files of before the Inception network do not say so: a classifier's.
  const auto knows = file.metadata().find("knows_labels");
  reference.knows_labels = knows == file.metadata().end() || knows->second == "1";
  if (metadata_text(file, "fingerprint") != fingerprint(reference)) {
    throw InputError(fmt::format("{}: its content does not match its fingerprint: measure it again",
                                 path.string()));
  }
  return reference;
}

ReferenceStatistics kept_reference(const fs::path& folder, const DataSet& data,
                                   const FeatureNetwork& network, const ReferenceOptions& options,
                                   const CountFunction& progress, std::stop_token stop) {
  const DataInfo& info = data.info();
  const auto file = folder / fmt::format("reference-{:.8}-{:.8}.safetensors", info.fingerprint,
                                         network.fingerprint());
  auto kept = load_kept(file);
  if (kept && belongs_to(*kept, info, network, options)) return std::move(*kept);
  const auto held = lock_to_measure(folder, stop);
  if (held.waited) {
    kept = load_kept(file);
    if (kept && belongs_to(*kept, info, network, options)) return std::move(*kept);
  }
  held.lock.remove_partial_files(
      [](std::string_view name) { return name.starts_with("reference-"); });
  auto reference = measure_reference(data, network, options, progress, std::move(stop));
  save_reference(file, reference);
  return reference;
}

}  // namespace l2c
