// What a caller asks for and gets: plain data, no LibTorch header behind it.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "l2c/cache/policy.h"
#include "l2c/io/png.h"

namespace l2c {

enum class SamplerKind { ddim, ddpm };

// Which epsilon channels guidance acts on. three: the first min(3, channels), DiT's official
// numbers; all: every one, as Diffusers does.
enum class GuidanceChannels { three, all };

// Values of a [N, C, H, W] tensor, row by row.
struct Latents {
  std::array<std::int64_t, 4> shape{};
  std::vector<float> values;
};

// Reads a tensor [N, C, H, W] of a safetensors file; `tensor` may be empty when the file holds
// only one. Throws InputError.
Latents load_latents(const std::filesystem::path& path, const std::string& tensor = "");
// Writes the tensor "latents", aside and renamed. Throws InputError, RunError.
void save_latents(const std::filesystem::path& path, const Latents& latents);

struct Request {
  std::vector<int> labels;  // classes, each 0 ... num_classes - 1
  int per_class = 1;        // images a label; image k * per_class + j is the j-th of labels[k]
  std::uint64_t seed = 0;   // image i's noise depends on seed and i alone
  int steps = 20;           // 1 ... 1000
  std::string spacing;      // official spacing string; empty: the number of steps ("20")
  SamplerKind sampler = SamplerKind::ddim;
  double eta = 0;         // DDIM's; 0: deterministic
  double guidance = 1.5;  // classifier-free guidance scale; 1: off
  GuidanceChannels guidance_channels = GuidanceChannels::three;
  int batch_size = 16;  // images at a time
  // What to reuse; null: compute everything.
  std::shared_ptr<const CachePolicy> cache;
  // Instead of the seed's: [images, C, S, S].
  std::optional<Latents> initial_noise;
};

enum class Phase { denoise, decode };

struct Progress {
  Phase phase = Phase::denoise;
  int step = 0;                // steps done, over all micro-batches
  int of = 0;                  // steps in all
  double elapsed_seconds = 0;  // since the call of sample()
  int reused = 0;              // branches reused so far in the current micro-batch, of one image
};

// Called on the thread that called sample(). An exception thrown from it ends the run and reaches
// the caller.
using ProgressFunction = std::function<void(const Progress&)>;

struct RunStats {
  double denoise_seconds = 0;  // the loop alone: no loading, no decoding
  int steps = 0;
  int images = 0;
  int computed = 0;  // branches of one image's evaluations, counted as they ran
  int reused = 0;
  int cache_step_branches = 0;   // what `reused` is out of; 0 for policies that decide as they go
  double ideal_speedup = 1;      // true MACs of computing everything / of what ran
  std::int64_t cache_bytes = 0;  // measured peak of stored tensors for one image
};

struct Image {
  int label = 0;
  int index = 0;      // within the request
  io::Bitmap bitmap;  // 1 or 3 channels
};

struct Result {
  Latents latents;            // [images, C, S, S], as the sampler left them
  std::vector<Image> images;  // empty for models of latents (neither 1 nor 3 channels)
  RunStats stats;
};

// Images side by side in rows of `columns`, with a margin. Throws InputError when empty or when
// sizes differ.
io::Bitmap contact_sheet(const std::vector<Image>& images, int columns);

}  // namespace l2c
