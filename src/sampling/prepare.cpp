#include "prepare.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>

#include "l2c/core/error.h"
#include "l2c/diffusion/noise.h"
#include "l2c/sampling/tensors.h"
#include "spaced_schedule.h"

namespace l2c {

namespace {

void check_seeds(const Request& request, double images) {
  if (request.seeds.empty()) return;
  if (static_cast<double>(request.seeds.size()) != images) {
    throw InputError(fmt::format("{} seeds for {:.0f} images: give one for each image, or none",
                                 request.seeds.size(), images));
  }
  if (request.first_image != 0) {
    throw InputError(
        fmt::format("the number {} of the first image says nothing to images with seeds of their "
                    "own: leave it at 0",
                    request.first_image));
  }
  if (request.initial_noise && request.eta == 0 && request.sampler != SamplerKind::ddpm) {
    throw InputError(
        "initial noise and a seed for each image: nothing needs the seeds; leave one out");
  }
}

void check_numbers(const Request& request) {
  if (request.per_class < 1) {
    throw InputError(fmt::format("{} images a class: give at least 1", request.per_class));
  }
  const auto images = static_cast<double>(request.labels.size()) * request.per_class;
  if (images > most_images) {
    throw InputError(
        fmt::format("{:.0f} images at once: {} are the most; ask for parts of them, "
                    "each with its own seed",
                    images, most_images));
  }
  if (request.first_image < 0 || request.first_image > last_first_image) {
    throw InputError(
        fmt::format("number {} of the first image: give 0 to 2^62", request.first_image));
  }
  check_seeds(request, images);
  if (request.preview_every < 0) {
    throw InputError(fmt::format("a preview every {} steps: give at least 1, or 0 for none",
                                 request.preview_every));
  }
  if (request.batch_size < 1) {
    throw InputError(fmt::format("batch size {}: give at least 1", request.batch_size));
  }
  if (!(request.eta >= 0) || !std::isfinite(request.eta)) {
    throw InputError(fmt::format("eta {}: give a number of at least 0", request.eta));
  }
  if (request.eta != 0 && request.sampler == SamplerKind::ddpm) {
    throw InputError("eta belongs to DDIM: leave it at 0 for DDPM");
  }
  if (!std::isfinite(request.guidance)) {
    throw InputError(fmt::format("guidance scale {}: give a finite number", request.guidance));
  }
  const TimestepRange& range = request.guidance_range;
  // Written so that NaN fails, too.
  if (!(range.low < range.high && range.low >= 0)) {
    throw InputError(
        fmt::format("guidance range {} to {}: give two timesteps, the lower first, from 0 on",
                    range.low, range.high));
  }
}

SchedulerRun folder_run(const Request& request, const FolderScheduler& scheduler) {
  if (!scheduler.config) {
    throw InputError(fmt::format("the folder's scheduler can't be used: {}; choose ddim or ddpm",
                                 scheduler.problem));
  }
  if (!request.spacing.empty()) {
    throw InputError(
        fmt::format("the spacing \"{}\" belongs to the official samplers: the folder's scheduler "
                    "has its own timesteps; give a number of steps instead",
                    request.spacing));
  }
  if (request.eta != 0 && scheduler.config->kind != SchedulerKind::ddim) {
    throw InputError(
        fmt::format("eta belongs to DDIM: leave it at 0 for the folder's scheduler ({})",
                    describe(*scheduler.config)));
  }
  return plan_scheduler(*scheduler.config, request.steps.value_or(default_steps));
}

std::vector<int> image_labels(const Request& request, const DenoiserInfo& info) {
  if (request.labels.empty()) throw InputError("no labels: give at least one class");
  std::vector<int> labels;
  for (const int label : request.labels) {
    if (label < 0 || label >= info.num_classes) {
      throw InputError(fmt::format("label {}: {} has the classes 0 to {}", label, info.architecture,
                                   info.num_classes - 1));
    }
    labels.insert(labels.end(), static_cast<std::size_t>(request.per_class), label);
  }
  return labels;
}

Guidance make_guidance(const Request& request, const DenoiserInfo& info, const Schedule& schedule) {
  Guidance guidance;
  guidance.scale = request.guidance;
  guidance.channels = request.guidance_channels == GuidanceChannels::three
                          ? std::min(3, info.in_channels)
                          : info.in_channels;
  guidance.range = request.guidance_range;
  check_guidance(guidance, info, schedule);
  return guidance;
}

// The seed and the number of the request's image i, on which its noise depends.
std::pair<std::uint64_t, std::int64_t> noise_of(const Request& request, std::int64_t i) {
  if (request.seeds.empty()) return {request.seed, request.first_image + i};
  return {request.seeds[static_cast<std::size_t>(i)], 0};
}

// The official scripts keep a guided batch whole, both halves starting from the same noise: such a
// tensor serves as well as its first half.
at::Tensor first_of_equal_halves(at::Tensor noise, std::int64_t images) {
  if (noise.size(0) != 2 * images) return noise;
  auto first = noise.narrow(0, 0, images);
  return at::equal(first, noise.narrow(0, images, images)) ? first : noise;
}

at::Tensor checked_noise(const Latents& noise, std::size_t images, const DenoiserInfo& info) {
  const std::array<std::int64_t, 4> expected{static_cast<std::int64_t>(images), info.in_channels,
                                             info.input_size, info.input_size};
  const auto tensor = first_of_equal_halves(to_tensor(noise), expected[0]);
  if (tensor.sizes() != at::IntArrayRef(expected)) {
    throw InputError(fmt::format(
        "the initial noise has shape [{}], expected [{}] (images, channels, height, width)",
        fmt::join(noise.shape, ", "), fmt::join(expected, ", ")));
  }
  const auto finite = tensor.isfinite().flatten(1).all(1);
  if (!finite.all().item<bool>()) {
    const auto bad = finite.logical_not().to(at::kInt).argmax().item<std::int64_t>();
    throw InputError(fmt::format("the initial noise of image {} holds NaN or infinity", bad));
  }
  return tensor;
}

}  // namespace

Prepared prepare(const Request& request, const DenoiserInfo& info,
                 const FolderScheduler& scheduler) {
  check_numbers(request);
  Prepared prepared;
  if (request.sampler == SamplerKind::folder) {
    prepared.run = folder_run(request, scheduler);
    prepared.schedule = prepared.run->schedule();
    prepared.sampler = "folder";
  } else {
    prepared.schedule = spaced_schedule(request.spacing, request.steps);
    prepared.sampler = request.sampler == SamplerKind::ddim ? "ddim" : "ddpm";
  }
  prepared.guidance = make_guidance(request, info, prepared.schedule);
  prepared.labels = image_labels(request, info);
  if (request.initial_noise) {
    prepared.initial_noise = checked_noise(*request.initial_noise, prepared.labels.size(), info);
  }
  return prepared;
}

at::Tensor image_noise(const Request& request, const DenoiserInfo& info, std::int64_t first,
                       std::int64_t count, int step) {
  std::vector<at::Tensor> images;
  images.reserve(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    const auto [seed, number] = noise_of(request, first + i);
    images.push_back(
        philox_normal(seed, number, step, {info.in_channels, info.input_size, info.input_size}));
  }
  return at::stack(images);
}

StepFunction step_function(const Request& request, const Prepared& prepared,
                           const DenoiserInfo& info, std::int64_t first) {
  const bool ddpm = request.sampler == SamplerKind::ddpm;
  const bool noisy = ddpm || request.eta > 0;
  const auto folder = prepared.run ? std::make_shared<SchedulerSteps>(*prepared.run) : nullptr;
  return [&request, &prepared, &info, first, ddpm, noisy, folder](
             int i, int evaluation, const at::Tensor& x, const at::Tensor& output) {
    at::Tensor noise;
    // The folder's DDIM may leave noise at its last step, and then adds some.
    if (noisy && (i > 0 || folder)) {
      noise = image_noise(request, info, first, x.size(0), evaluation).to(x.device());
    }
    if (folder) return folder->step(evaluation, x, output, request.eta, noise);
    return ddpm ? ddpm_step(prepared.schedule, i, x, output, noise)
                : ddim_step(prepared.schedule, i, x, output, request.eta, noise);
  };
}

}  // namespace l2c
