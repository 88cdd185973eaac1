// The images that one policy makes from one seed, kept in a folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "l2c/core/torch.h"
#include "l2c/sampling/pipeline.h"
#include "l2c/training/settings.h"

namespace l2c {

struct SampleSetOptions {
  // How to sample: seed, steps, spacing, sampler, eta, guidance, batch_size, cache. Its labels,
  // per_class, first_image, seeds and initial_noise are not used: image i has label i % classes,
  // and noise that depends on the seed and i alone.
  Request request;
  std::string policy = "compute all";  // what request.cache is: PolicySpec::identity
  std::int64_t images = 5000;
  int batches_per_shard = 4;  // micro-batches in one file
  // What the pipeline was loaded for, as LoadOptions has it; images of a CPU and of a GPU differ in
  // last bits, those of two GPUs of one machine do not count as different.
  std::string device = "cpu";
  // Other calls, of any process, that share may sample in the folder at the same time: each takes
  // shards that nobody else works on, and returns when all are there. All must want the same, the
  // number of images included.
  bool share = false;
};

struct SampleSetProgress {
  std::int64_t images = 0;  // finished, those of earlier runs included
  std::int64_t of = 0;
  std::int64_t found = 0;      // of `images`: those that were there already
  double elapsed_seconds = 0;  // of this call
};
// Called on the thread that samples. An exception thrown from it ends the sampling; finished shards
// stay.
using SampleSetProgressFunction = std::function<void(const SampleSetProgress&)>;

// What sampling cost, over all shards.
struct SamplingCost {
  double denoise_seconds = 0;  // summed over all images, as measured when they were sampled
  int steps = 0;
  int computed = 0;              // branches of one image, the mean over the images
  int reused = 0;                // the same
  double ideal_speedup = 1;      // against everything computed in as many steps
  std::int64_t cache_bytes = 0;  // peak of stored tensors for one image
};

struct SampledImages {
  at::Tensor images;  // [N, C, S, S] uint8: the pixels a PNG would hold
  at::Tensor labels;  // [N] int64: what was asked for
};

// A folder of files shard-00000.safetensors, ... ("images", "labels"; open_data reads them, too),
// each written aside and renamed, each with settings, costs and a checksum. Immutable; images() may
// be called from any thread. While sample() works in a folder, it holds its lock (shared or not).
class SampleSet {
 public:
  // Samples what the folder lacks. A shard with equal settings is kept; one that is damaged is
  // sampled again, with a log::warning. Images equal those of one uninterrupted call bit for bit.
  // Throws InputError: shards sampled with other settings (the differences are listed; nothing is
  // changed), a model of latents, sizes < 1, what Pipeline::sample throws, a folder that another
  // call (of any process) works in and not both share, or share for other settings, shards that
  // something else replaced. Cancelled: finished shards stay, and the
  // next call goes on from them. RunError: disk full, ...
  static SampleSet sample(const Pipeline& pipeline, const SampleSetOptions& options,
                          const std::filesystem::path& folder,
                          const SampleSetProgressFunction& progress = {},
                          std::stop_token stop = {});

  // Throws the InputError with which sample() would begin; makes nothing, changes nothing.
  static void check(const Pipeline& pipeline, const SampleSetOptions& options,
                    const std::filesystem::path& folder);

  [[nodiscard]] int shards() const { return static_cast<int>(files_.size()); }
  [[nodiscard]] std::int64_t size() const { return size_; }
  // Of one shard, 0 ... shards() - 1, read from its file. Throws InputError when the file was
  // damaged or changed since.
  [[nodiscard]] SampledImages images(int shard) const;
  [[nodiscard]] const SamplingCost& cost() const { return cost_; }
  [[nodiscard]] const std::string& fingerprint() const { return fingerprint_; }  // of all images

 private:
  SampleSet() = default;
  std::vector<std::filesystem::path> files_;
  std::vector<std::string> checksums_;
  std::int64_t size_ = 0;
  SamplingCost cost_;
  std::string fingerprint_;
};

// The images as OpenAI's guided-diffusion (ADM) takes them for its evaluator: "arr_0" uint8
// [N, S, S, 3] (gray as three equal channels) and "arr_1" int64 [N], the labels. One shard at a
// time is in memory; written aside and renamed. Throws InputError (no file can be written there, a
// shard that changed), RunError (disk full, ...).
void write_npz(const std::filesystem::path& path, const SampleSet& samples);

// What decides a sample set's bits; kept in each shard and compared with it.
TrainingSettings sample_set_settings(const Pipeline& pipeline, const SampleSetOptions& options);

}  // namespace l2c
