#include "l2c/sampling/image_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "l2c/core/build_info.h"
#include "l2c/core/error.h"
#include "l2c/core/hash.h"
#include "l2c/io/png_text.h"
#include "l2c/ops/cpu_isa.h"
#include "l2c/sampling/planning.h"
#include "prepare.h"
#include "spaced_schedule.h"

namespace l2c {

namespace {

int steps_of(const Request& request) {
  if (request.sampler == SamplerKind::folder) return request.steps.value_or(default_steps);
  return static_cast<int>(plan_shape(1, request.spacing, request.steps, "").evaluations.size());
}

// The request that ImageSettings keeps.
Request kept(const Request& request, const RunStats& stats) {
  Request kept = request;
  kept.steps = steps_of(request);
  kept.batch_size = stats.batch_size;
  kept.memory_limit = 0;
  kept.cache = nullptr;
  kept.initial_noise.reset();
  kept.pictures = true;
  kept.preview_every = 0;
  kept.cuda_graphs = true;
  return kept;
}

// As far as of_image() counts on it.
void check_images(const Request& request) {
  const auto images = static_cast<double>(request.labels.size()) * request.per_class;
  if (request.per_class >= 1 && request.batch_size >= 1 && images <= most_images &&
      request.first_image >= 0 && request.first_image <= last_first_image &&
      (request.seeds.empty() || static_cast<double>(request.seeds.size()) == images)) {
    return;
  }
  throw InputError(
      fmt::format("settings of {} labels with {} images each and {} seeds, {} at a time, from "
                  "number {} on, are "
                  "no request that can be run",
                  request.labels.size(), request.per_class, request.seeds.size(),
                  request.batch_size, request.first_image));
}

}  // namespace

ImageSettings image_settings(const Pipeline& pipeline, const Request& request,
                             const RunStats& stats) {
  const ModelSummary& model = pipeline.summary();
  ImageSettings settings;
  settings.version = version();
  settings.model = model.fingerprint;
  settings.architecture = model.architecture;
  settings.dtype = model.dtype;
  settings.device = model.device;
  settings.instruction_set = ops::name(ops::cpu_isa());
  settings.vae = model.vae;
  if (request.sampler == SamplerKind::folder) settings.scheduler = model.scheduler;
  if (request.cache) settings.cache = request.cache->name();
  settings.request = kept(request, stats);
  if (request.initial_noise) settings.initial_noise = latents_fingerprint(*request.initial_noise);
  return settings;
}

ImageSettings of_image(const ImageSettings& settings, int index) {
  const Request& whole = settings.request;
  check_images(whole);
  const auto images = static_cast<std::int64_t>(whole.labels.size()) * whole.per_class;
  if (index < 0 || index >= images) {
    throw InputError(fmt::format("image {}: the run has images 0 to {}", index, images - 1));
  }
  ImageSettings one = settings;
  one.compared = false;
  one.image = index;
  if (!settings.initial_noise.empty()) return one;
  const std::int64_t first = index / whole.batch_size * whole.batch_size;
  const auto end = std::min<std::int64_t>(first + whole.batch_size, images);
  one.image = static_cast<int>(index - first);
  one.request.labels.clear();
  one.request.per_class = 1;
  for (std::int64_t i = first; i < end; ++i) {
    one.request.labels.push_back(whole.labels[static_cast<std::size_t>(i / whole.per_class)]);
  }
  if (whole.seeds.empty()) {
    one.request.first_image = whole.first_image + first;
  } else {
    one.request.seeds.assign(whole.seeds.begin() + first, whole.seeds.begin() + end);
  }
  return one;
}

std::string latents_fingerprint(const Latents& latents) {
  Hash hash;
  for (const std::int64_t size : latents.shape) hash.number(size);
  hash.bytes(latents.values.data(), latents.values.size() * sizeof(float));
  return hash.hex();
}

std::optional<ImageSettings> read_image_settings(const std::filesystem::path& png) {
  const auto text = io::read_png_text(png, image_settings_keyword);
  if (!text) return std::nullopt;
  return parse_image_settings(*text, fmt::format("'{}'", png.string()));
}

}  // namespace l2c
