// One file of a sample set.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "l2c/core/torch.h"
#include "l2c/evaluation/sample_set.h"
#include "l2c/sampling/request.h"
#include "l2c/training/settings.h"

namespace l2c {

struct Shard {
  at::Tensor images;  // [N, C, S, S] uint8
  at::Tensor labels;  // [N] int64
  std::int64_t first_image = 0;
  SamplingCost cost;
  TrainingSettings settings;
  std::string checksum;  // set by read_shard
};

// The run's pictures and costs.
Shard make_shard(const Result& result, std::int64_t first_image, TrainingSettings settings);

// Written aside and renamed. Throws InputError, RunError.
void write_shard(const std::filesystem::path& path, const Shard& shard);

// Throws InputError that names the file when it is no shard, or damaged.
Shard read_shard(const std::filesystem::path& path);

}  // namespace l2c
