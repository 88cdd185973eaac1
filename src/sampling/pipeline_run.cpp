#include "pipeline_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>
#include <vector>

#include "images.h"
#include "l2c/cache/plan_places.h"
#include "l2c/cache/policies.h"
#include "l2c/core/error.h"
#include "l2c/sampling/denoise.h"
#include "l2c/sampling/graphs.h"
#include "l2c/sampling/tensors.h"
#include "memory.h"

namespace l2c {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::unique_ptr<GraphSet> make_graphs(const Request& request, at::Device device) {
  auto recorders = request.cuda_graphs ? cuda_graphs(device) : GraphRecorderFactory();
  return recorders ? std::make_unique<GraphSet>(std::move(recorders)) : nullptr;
}

// One call of Pipeline::sample: its micro-batches, progress and numbers.
class Run {
 public:
  Run(const PipelineParts& pipeline, const Request& request, const ProgressFunction& progress,
      std::stop_token stop)
      : model_(*pipeline.model),
        vae_(pipeline.vae.get()),
        request_(request),
        progress_(progress),
        stop_(std::move(stop)),
        prepared_(prepare(request, model_.info(), pipeline.scheduler)),
        rows_by_unit_(static_cast<std::size_t>(2 * model_.info().blocks), 0),
        plan_(planned(policy_of(request), shape())),
        graphs_(make_graphs(request, model_.device())),
        batch_size_(batch_size()) {}

  Result operator()() {
    const auto images = static_cast<std::int64_t>(prepared_.labels.size());
    const auto batches = (images + batch_size_ - 1) / batch_size_;
    steps_in_all_ = static_cast<int>(batches) * prepared_.schedule.steps();
    std::vector<at::Tensor> latents;
    for (std::int64_t first = 0; first < images; first += batch_size_) {
      latents.push_back(micro_batch(first, std::min<std::int64_t>(batch_size_, images - first)));
    }
    Result result;
    const auto all = at::cat(latents);
    result.latents = to_latents(all);
    if (request_.pictures) result.images = decode(all);
    result.stats = stats();
    return result;
  }

 private:
  at::Tensor micro_batch(std::int64_t first, std::int64_t count) {
    const auto start = Clock::now();
    const auto device = model_.device();
    const auto noise =
        (prepared_.initial_noise.defined() ? prepared_.initial_noise.narrow(0, first, count)
                                           : image_noise(request_, model_.info(), first, count, -1))
            .to(device);
    const auto labels = at::empty({count}, at::kLong);
    std::copy_n(prepared_.labels.begin() + first, count, labels.data_ptr<std::int64_t>());
    double reused = 0;
    const DenoiseJob job{.model = model_,
                         .schedule = prepared_.schedule,
                         .policy = policy_of(request_),
                         .step = step_function(request_, prepared_, model_.info(), first),
                         .guidance = prepared_.guidance,
                         .sampler = prepared_.sampler,
                         .stop = stop_,
                         .observer =
                             [&](const StepView& view) {
                               reused += 2 * model_.info().blocks - view.computed;
                               ++steps_done_;
                               report(Phase::denoise, static_cast<int>(std::lround(reused)),
                                      preview(view, first));
                             },
                         .graphs = graphs_.get(),
                         .conditions_bytes = conditions_bytes()};
    const auto result = denoise(job, noise, labels.to(device));
    auto latents = result.latents.to(at::kCPU);  // waits for a GPU: part of the measured time
    denoise_seconds_ += seconds_since(start);
    add_counts(result, count);
    return latents;
  }

  void add_counts(const DenoiseResult& result, std::int64_t count) {
    const auto images = static_cast<double>(count);
    rows_ += images * result.rows;
    for (std::size_t u = 0; u < rows_by_unit_.size(); ++u) {
      rows_by_unit_[u] += images * result.rows_by_unit[u];
      computed_ += images * result.computed_by_unit[u];
    }
    cache_bytes_ = std::max(cache_bytes_, static_cast<std::int64_t>(result.cache_bytes) / count);
  }

  // Where one is due after this step of the micro-batch that begins with image `first`. Its time is
  // no part of the denoising.
  std::vector<Image> preview(const StepView& view, std::int64_t first) {
    const int every = request_.preview_every;
    const int done = view.evaluation.index + 1;
    if (!progress_ || every == 0 || (done % every != 0 && done != view.evaluation.count)) return {};
    // Waits for a GPU, which is a part of the denoising.
    const auto latents = view.pred_xstart.to(at::kCPU, at::kFloat);
    const auto start = Clock::now();
    std::vector<Image> images;
    for (std::int64_t i = 0; i < latents.size(0); ++i) {
      images.push_back(image(latents, i, first + i));
    }
    denoise_seconds_ -= seconds_since(start);
    return images;
  }

  std::vector<Image> decode(const at::Tensor& latents) {
    std::vector<Image> images;
    for (std::int64_t i = 0; i < latents.size(0); ++i) {
      if (vae_) report(Phase::decode, 0);
      images.push_back(image(latents, i, i));
    }
    report(Phase::decode, 0);
    return images;
  }

  // Of row `row` of the latents, which is the request's image `index`.
  Image image(const at::Tensor& latents, std::int64_t row, std::int64_t index) {
    return {.label = prepared_.labels[static_cast<std::size_t>(index)],
            .index = static_cast<int>(index),
            .bitmap = to_bitmap(vae_ ? picture(latents.narrow(0, row, 1), index) : latents[row])};
  }

  // One at a time: a picture's intermediate values take hundreds of times the latents' memory.
  at::Tensor picture(const at::Tensor& latents, std::int64_t index) {
    if (stop_.stop_requested()) {
      throw Cancelled(fmt::format("cancelled before image {} of {} was decoded; there is no result",
                                  index + 1, prepared_.labels.size()));
    }
    auto pixels = vae_->decode(latents)[0].cpu();
    if (pixels.isfinite().all().item<bool>()) return pixels;
    throw RunError(
        fmt::format("the VAE made NaN or infinity of the latents of image {}: they are no "
                    "latents of its model, or its weights are damaged",
                    index));
  }

  void report(Phase phase, int reused, std::vector<Image> preview = {}) {
    if (!progress_) return;
    const bool shows = !preview.empty();
    const auto start = Clock::now();
    progress_({.phase = phase,
               .step = steps_done_,
               .of = steps_in_all_,
               .elapsed_seconds = seconds_since(start_),
               .reused = reused,
               .preview = std::move(preview)});
    // Whoever shows a picture may write it to a disk.
    if (shows) denoise_seconds_ -= seconds_since(start);
  }

  [[nodiscard]] RunShape shape() const {
    const DenoiserInfo& info = model_.info();
    return run_shape(info.blocks, prepared_.schedule, prepared_.sampler, info.fingerprint,
                     prepared_.guidance);
  }

  [[nodiscard]] int batch_size() const {
    if (request_.memory_limit == 0) return request_.batch_size;
    return fitting_batch(request_.memory_limit, bytes_of_image(), request_.batch_size);
  }

  [[nodiscard]] std::int64_t bytes_of_image() const {
    return bytes_per_image(model_, prepared_.guidance.on(), most_stored());
  }

  // Within a memory limit what the images leave, because as much again is needed for a moment.
  [[nodiscard]] std::int64_t conditions_bytes() const {
    if (request_.memory_limit == 0) return most_conditions_bytes;
    const std::int64_t left = request_.memory_limit - batch_size_ * bytes_of_image();
    return std::min(most_conditions_bytes, left / 2);
  }

  [[nodiscard]] int most_stored() const {
    const int stored = policy_of(request_).most_stored(shape(), nullptr);
    // Graphs keep all their slots.
    return graphs_ && plan_ ? std::max(stored, PlanPlaces(*plan_).in_all()) : stored;
  }

  RunStats stats() {
    const auto& info = model_.info();
    RunStats stats;
    stats.denoise_seconds = denoise_seconds_;
    stats.steps = prepared_.schedule.steps();
    stats.images = static_cast<int>(prepared_.labels.size());
    stats.batch_size = batch_size_;
    // Policies that decide as they go may treat images unlike: the mean over them.
    stats.computed = static_cast<int>(std::lround(computed_ / stats.images));
    stats.reused = 2 * info.blocks * stats.steps - stats.computed;
    stats.ideal_speedup = ideal_speedup();
    stats.cache_bytes = cache_bytes_;
    if (plan_) stats.cache_step_branches = plan_->cache_step_branches();
    return stats;
  }

  // From what really ran, so that it also holds for policies that decide as they go.
  double ideal_speedup() const {
    const ForwardCost& cost = model_.cost();
    double ran = cost.rest * rows_;
    for (std::size_t u = 0; u < cost.units.size(); ++u) {
      ran += cost.units[u].truth * rows_by_unit_[u];
    }
    return cost.total().truth * rows_ / ran;
  }

  const Denoiser& model_;
  const Autoencoder* vae_;  // or null
  const Request& request_;
  const ProgressFunction& progress_;
  std::stop_token stop_;
  Prepared prepared_;
  Clock::time_point start_ = Clock::now();
  int steps_done_ = 0;
  int steps_in_all_ = 0;
  double denoise_seconds_ = 0;
  double computed_ = 0;               // branches, over all images
  double rows_ = 0;                   // batch rows, over all evaluations and images
  std::vector<double> rows_by_unit_;  // those in which the unit was computed
  std::int64_t cache_bytes_ = 0;
  std::optional<CachePlan> plan_;     // none: the policy decides as it goes
  std::unique_ptr<GraphSet> graphs_;  // null: none
  int batch_size_;
};

}  // namespace

const CachePolicy& policy_of(const Request& request) {
  static const ComputeAll compute_all;
  return request.cache ? *request.cache : compute_all;
}

Result run_request(const PipelineParts& parts, const Request& request,
                   const ProgressFunction& progress, std::stop_token stop) {
  return Run(parts, request, progress, std::move(stop))();
}

}  // namespace l2c
