// Samples of the model itself as data to train its router on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <stop_token>

#include "l2c/datasets/dataset.h"
#include "l2c/diffusion/schedule.h"
#include "l2c/models/denoiser.h"
#include "l2c/training/progress.h"
#include "l2c/training/router_trainer.h"

namespace l2c {

// Makes them with every step of the schedule (DDIM, eta 0, the classes in turn), or takes those
// that are in `folder` already: own-samples.safetensors ("latents", "labels"), or, of one that was
// interrupted, the finished batches in own-samples/. Sample i depends on seed and i alone. A file
// that does not match its checksum is set aside (".damaged"), logged as a warning and made again.
// Throws InputError (the folder's were made otherwise: differences listed; the folder cannot be
// read or written), Cancelled (finished batches are kept), RunError.
std::shared_ptr<const DataSet> own_samples(const Denoiser& model, const Schedule& schedule,
                                           const OwnSampleOptions& options, std::uint64_t seed,
                                           const std::filesystem::path& folder,
                                           const TrainingProgressFunction& progress,
                                           const std::stop_token& stop);

}  // namespace l2c
