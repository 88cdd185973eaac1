// One call of Pipeline::sample.
#pragma once

#include <memory>
#include <stop_token>

#include "l2c/models/autoencoder.h"
#include "l2c/models/class_names.h"
#include "l2c/models/denoiser.h"
#include "l2c/sampling/pipeline.h"
#include "l2c/sampling/request.h"
#include "prepare.h"

namespace l2c {

// What a pipeline holds. Never changes after loading.
struct PipelineParts {
  std::shared_ptr<const Denoiser> model;
  ModelSummary summary;
  ClassNames class_names{};
  FolderScheduler scheduler{};
  std::shared_ptr<const Autoencoder> vae{};  // or null
};

const CachePolicy& policy_of(const Request& request);

// Throws like Pipeline::sample, LibTorch's errors untranslated.
Result run_request(const PipelineParts& parts, const Request& request,
                   const ProgressFunction& progress, std::stop_token stop);

}  // namespace l2c
