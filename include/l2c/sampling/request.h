// What a caller asks for and gets: plain data, no LibTorch header behind it.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "l2c/cache/policy.h"
#include "l2c/io/png.h"
#include "l2c/sampling/latents.h"

namespace l2c {

// ddim, ddpm: the official ones. folder: what the scheduler/ of a Diffusers model's folder says,
// with its own timesteps, which are others than the official ones of as many steps.
enum class SamplerKind { ddim, ddpm, folder };

// Which epsilon channels guidance acts on. three: the first min(3, channels), DiT's official
// numbers; all: every one, as Diffusers does.
enum class GuidanceChannels { three, all };

const char* name_of(SamplerKind sampler);        // "ddim", "ddpm", "folder"
const char* name_of(GuidanceChannels channels);  // "three", "all"

// Timesteps t with low <= t < high; 0 is clean, a DiT's noisiest is 999.
struct TimestepRange {
  double low = 0;
  double high = std::numeric_limits<double>::infinity();

  [[nodiscard]] bool contains(double t) const { return low <= t && t < high; }
  friend bool operator==(const TimestepRange&, const TimestepRange&) = default;
};

struct Request {
  std::vector<int> labels;  // classes, each 0 ... num_classes - 1
  int per_class = 1;        // images a label; image k * per_class + j is the j-th of labels[k]
  std::uint64_t seed = 0;   // image i's noise depends on seed and first_image + i alone
  // One an image, instead of `seed`: image i is, but for the last bits, the only one of a request
  // with the seed seeds[i]. Empty: `seed` and first_image say.
  std::vector<std::uint64_t> seeds;
  // Number of the first image, >= 0: a run in parts gives the images of the whole one, bit for bit
  // where the parts begin with a micro-batch of the whole.
  std::int64_t first_image = 0;
  // Denoising steps, 1 ... 1000. Unset: as many as `spacing` has, or 20.
  std::optional<int> steps;
  // Official spacing string ("20", "ddim20", "10,10"). Empty: the number of steps. Not for the
  // folder's scheduler.
  std::string spacing;
  SamplerKind sampler = SamplerKind::ddim;
  double eta = 0;       // DDIM's (the folder's, too), >= 0; 0: deterministic
  double guidance = 4;  // classifier-free guidance scale; 1: off
  GuidanceChannels guidance_channels = GuidanceChannels::three;
  // Where the timesteps are within it, guidance acts; elsewhere the model runs on the conditional
  // rows alone, which takes half as long. Where it begins or ends, everything is computed, and what
  // was kept is dropped. (Kynkaanniemi et al., "Applying Guidance in a Limited Interval Improves
  // Sample and Distribution Quality in Diffusion Models", arXiv 2404.07724: for ImageNet, neither
  // at the noisiest timesteps nor at the cleanest ones.)
  TimestepRange guidance_range;
  int batch_size = 16;  // images at a time
  // Bytes that a micro-batch may take beside the weights (a VAE's decoding, one image at a time,
  // not counted); fewer images at a time where they would take more. 0: no limit.
  std::int64_t memory_limit = 0;
  // What to reuse; null: compute everything.
  std::shared_ptr<const CachePolicy> cache;
  // Whether to make Result::images. Without, the VAE does not run.
  bool pictures = true;
  // Every so many steps, and in the last one, progress brings pictures of what the model takes the
  // images of the current micro-batch to be (the predicted x0), made as Result::images are. 0:
  // never.
  int preview_every = 0;
  // On a GPU: whether the model calls of a run with a plan are recorded as CUDA graphs and
  // repeated; not with a guidance_range that guidance leaves. No effect on the CPU, nor on what is
  // sampled.
  bool cuda_graphs = true;
  // Instead of the seed's: [images, C, S, S]; or [2 * images, C, S, S] with equal halves, as the
  // official scripts keep a guided batch.
  std::optional<Latents> initial_noise;
};

struct Image {
  int label = 0;
  int index = 0;      // within the request
  io::Bitmap bitmap;  // gray or RGB
};

enum class Phase { denoise, decode };

struct Progress {
  Phase phase = Phase::denoise;
  int step = 0;                  // steps done, over all micro-batches
  int of = 0;                    // steps in all
  double elapsed_seconds = 0;    // since the call of sample()
  int reused = 0;                // branches reused so far in the current micro-batch, of one image
  std::vector<Image> preview{};  // see Request::preview_every; empty where none is due
};

// Called on the thread that called sample(). An exception thrown from it ends the run and reaches
// the caller.
using ProgressFunction = std::function<void(const Progress&)>;

struct RunStats {
  double denoise_seconds = 0;  // the loop with its noise and copies; no loading, no decoding
  int steps = 0;
  int images = 0;
  int batch_size = 0;  // images at a time: what was asked for, or what the memory limit allows
  int computed = 0;  // branches of one image's evaluations, counted as they ran; the mean, rounded
  int reused = 0;
  int cache_step_branches = 0;   // what `reused` is out of; 0 for policies that decide as they go
  double ideal_speedup = 1;      // true MACs of computing everything / of what ran
  std::int64_t cache_bytes = 0;  // measured peak of stored tensors for one image
};

struct Result {
  Latents latents;  // [images, C, S, S], as the sampler left them
  // One an image, none without Request::pictures. Pixel models (1 or 3 channels in [-1, 1]) give
  // the picture, and so do latents with a VAE; without one, latents give a false-colour preview:
  // the first three channels, each image on its own scale.
  std::vector<Image> images;
  RunStats stats;
};

}  // namespace l2c
