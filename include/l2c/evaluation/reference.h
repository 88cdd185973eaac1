// What generated images are compared with: features of real ones.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>

#include "l2c/core/torch.h"
#include "l2c/datasets/dataset.h"
#include "l2c/evaluation/feature_network.h"
#include "l2c/metrics/distribution.h"

namespace l2c {

struct ReferenceStatistics {
  std::string data;  // DataInfo::description
  std::string data_fingerprint;
  std::string network;  // FeatureNetwork::description
  std::string network_fingerprint;
  int channels = 0;  // of the images; 0, as image_size and num_classes: not known
  int image_size = 0;
  int num_classes = 0;
  GaussianStatistics gaussian;  // of all images; rows 0: their number is not known
  // [M, D] fp32, of a subset: for KID, precision and recall; [0, D]: there are no images
  at::Tensor features;
  std::int64_t recognised = 0;  // images whose label the network gives, of gaussian.rows
  GaussianStatistics spatial;   // of Features::spatial, for sFID; empty where there are none
  bool knows_labels = true;     // FeatureNetwork::knows_labels
};

struct ReferenceOptions {
  std::int64_t subset = 5000;  // features kept, evenly spread over the data; all where it has fewer
  std::int64_t batch_size = 250;
};

// Called with (images done, images in all), on the calling thread.
using CountFunction = std::function<void(std::int64_t, std::int64_t)>;

// Runs the network over all images of the data. Throws InputError (fewer than 2 images, a network
// that knows another number of classes, features that are not finite), Cancelled, RunError (out of
// memory, ...).
ReferenceStatistics measure_reference(const DataSet& data, const FeatureNetwork& network,
                                      const ReferenceOptions& options = {},
                                      const CountFunction& progress = {},
                                      std::stop_token stop = {});

// What the statistics still know of their data: `size` is the number of features kept, and there
// are no names of classes. For checks where the data themselves are not at hand.
DataInfo data_info(const ReferenceStatistics& reference);

// Of all that comparisons use: 32 hex digits.
std::string fingerprint(const ReferenceStatistics& reference);

// A safetensors file, written aside and renamed. Throws InputError, RunError.
void save_reference(const std::filesystem::path& path, const ReferenceStatistics& reference);
// Throws InputError that names the file: no such statistics, damaged.
ReferenceStatistics load_reference(const std::filesystem::path& path);

// The statistics kept in `folder` (made where needed) under a name that holds the fingerprints of
// data and network; measured, and kept there, when they are not, or when the file is damaged (a
// log::warning) or has another subset. Measuring holds the folder's lock: a second call, of any
// process, waits and takes what the first has kept. Throws as measure_reference and save_reference
// do.
ReferenceStatistics kept_reference(const std::filesystem::path& folder, const DataSet& data,
                                   const FeatureNetwork& network,
                                   const ReferenceOptions& options = {},
                                   const CountFunction& progress = {}, std::stop_token stop = {});

}  // namespace l2c
