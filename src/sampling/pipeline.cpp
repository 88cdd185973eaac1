#include "l2c/sampling/pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <utility>

#include "images.h"
#include "l2c/cache/plan_places.h"
#include "l2c/cache/policies.h"
#include "l2c/core/device.h"
#include "l2c/core/error.h"
#include "l2c/core/torch_errors.h"
#include "l2c/io/checkpoint.h"
#include "l2c/io/file.h"
#include "l2c/io/json_text.h"
#include "l2c/models/autoencoder.h"
#include "l2c/models/dit.h"
#include "l2c/models/dit_source.h"
#include "l2c/sampling/denoise.h"
#include "l2c/sampling/graphs.h"
#include "memory.h"
#include "prepare.h"
#include "tensors.h"

namespace l2c {

namespace {

struct Parts {
  std::shared_ptr<const Denoiser> model;
  ModelSummary summary;
  ClassNames class_names{};
  FolderScheduler scheduler{};
  std::shared_ptr<const Autoencoder> vae{};  // or null
};

using Clock = std::chrono::steady_clock;

constexpr const char* loading_advice =
    "the model needs more; close other programs or take another device";

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

io::Weights parse_weights(const std::string& name) {
  if (name == "ema") return io::Weights::ema;
  if (name == "model") return io::Weights::model;
  throw InputError(fmt::format("weights \"{}\": give \"ema\" or \"model\"", name));
}

ModelSummary summarize(const Denoiser& model) {
  const DenoiserInfo& info = model.info();
  return {.architecture = info.architecture,
          .fingerprint = info.fingerprint,
          .channels = info.in_channels,
          .size = info.input_size,
          .blocks = info.blocks,
          .num_classes = info.num_classes,
          .dtype = model.branch_dtype() == at::kBFloat16 ? "bf16" : "fp32",
          .can_be_guided = info.null_label.has_value(),
          .makes_pixels = are_pixels(info.in_channels),
          .image_size = info.input_size};
}

// Read with the model, used only when a request asks for it: a scheduler that can't be used is no
// reason against the model.
FolderScheduler read_scheduler(const DiTSource& source, const std::filesystem::path& model) {
  FolderScheduler scheduler;
  if (source.scheduler.empty()) {
    if (source.from_diffusers) {
      scheduler.problem = fmt::format(
          "'{}' has no scheduler/scheduler_config.json (it belongs to the folder with "
          "model_index.json)",
          model.string());
    }
    return scheduler;
  }
  try {
    scheduler.config = scheduler_config_from_json(
        io::read_text(source.scheduler, io::most_json_bytes), source.scheduler.string());
  } catch (const InputError& error) {
    scheduler.problem = error.what();
  }
  return scheduler;
}

// The folder of the VAE that is asked for; empty: none.
std::filesystem::path vae_folder(const LoadOptions& options, const std::filesystem::path& own) {
  if (options.vae == "none") return {};
  return options.vae.empty() ? own : std::filesystem::path(options.vae);
}

// Before the model, whose weights take longer.
std::shared_ptr<const Autoencoder> load_vae(const std::filesystem::path& folder,
                                            const DiTConfig& model, at::Device device) {
  if (folder.empty()) return nullptr;
  auto vae = Autoencoder::load(folder, device);
  const int channels = vae->config().latent_channels;
  if (channels == model.in_channels) return vae;
  throw InputError(
      fmt::format("the VAE '{}' decodes latents of {} channels, but {} makes {}: give the VAE of "
                  "that model, or \"none\"",
                  folder.string(), channels, dit_name(model), model.in_channels));
}

// What is known once model, scheduler and VAE are loaded.
ModelSummary summarize(const Parts& parts) {
  ModelSummary summary = summarize(*parts.model);
  if (parts.scheduler.config) summary.scheduler = describe(*parts.scheduler.config);
  if (parts.vae) {
    summary.decodes = true;
    summary.image_size *= parts.vae->config().scale();
  }
  return summary;
}

const CachePolicy& policy_of(const Request& request) {
  static const ComputeAll compute_all;
  return request.cache ? *request.cache : compute_all;
}

std::unique_ptr<GraphSet> make_graphs(const Request& request, at::Device device) {
  auto recorders = request.cuda_graphs ? cuda_graphs(device) : GraphRecorderFactory();
  return recorders ? std::make_unique<GraphSet>(std::move(recorders)) : nullptr;
}

// One call of Pipeline::sample: its micro-batches, progress and numbers.
class Run {
 public:
  Run(const Parts& pipeline, const Request& request, const ProgressFunction& progress,
      std::stop_token stop)
      : model_(*pipeline.model),
        vae_(pipeline.vae.get()),
        request_(request),
        progress_(progress),
        stop_(std::move(stop)),
        prepared_(prepare(request, model_.info(), pipeline.scheduler)),
        computed_by_unit_(static_cast<std::size_t>(2 * model_.info().blocks), 0),
        plan_(policy_of(request).plan(shape())),
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
                               report(Phase::denoise, static_cast<int>(std::lround(reused)));
                             },
                         .graphs = graphs_.get(),
                         .conditions_bytes = conditions_bytes()};
    const auto result = denoise(job, noise, labels.to(device));
    auto latents = result.latents.to(at::kCPU);  // waits for a GPU: part of the measured time
    denoise_seconds_ += seconds_since(start);
    for (std::size_t u = 0; u < computed_by_unit_.size(); ++u) {
      computed_by_unit_[u] += static_cast<double>(count) * result.computed_by_unit[u];
    }
    cache_bytes_ = std::max(cache_bytes_, static_cast<std::int64_t>(result.cache_bytes) / count);
    return latents;
  }

  std::vector<Image> decode(const at::Tensor& latents) {
    std::vector<Image> images;
    for (std::int64_t i = 0; i < latents.size(0); ++i) {
      images.push_back({.label = prepared_.labels[static_cast<std::size_t>(i)],
                        .index = static_cast<int>(i),
                        .bitmap = to_bitmap(vae_ ? picture(latents, i) : latents[i])});
    }
    report(Phase::decode, 0);
    return images;
  }

  // One at a time: a picture's intermediate values take hundreds of times the latents' memory.
  at::Tensor picture(const at::Tensor& latents, std::int64_t i) {
    if (stop_.stop_requested()) {
      throw Cancelled(
          fmt::format("cancelled before image {} of {} was decoded; nothing was written", i + 1,
                      latents.size(0)));
    }
    report(Phase::decode, 0);
    auto pixels = vae_->decode(latents.narrow(0, i, 1))[0].cpu();
    if (pixels.isfinite().all().item<bool>()) return pixels;
    throw RunError(
        fmt::format("the VAE made NaN or infinity of the latents of image {}: they are no "
                    "latents of its model, or its weights are damaged",
                    i));
  }

  void report(Phase phase, int reused) {
    if (!progress_) return;
    progress_({.phase = phase,
               .step = steps_done_,
               .of = steps_in_all_,
               .elapsed_seconds = seconds_since(start_),
               .reused = reused});
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
    const auto all = std::accumulate(computed_by_unit_.begin(), computed_by_unit_.end(), 0.0);
    stats.computed = static_cast<int>(std::lround(all / stats.images));
    stats.reused = 2 * info.blocks * stats.steps - stats.computed;
    stats.ideal_speedup = ideal_speedup(static_cast<double>(stats.steps) * stats.images);
    stats.cache_bytes = cache_bytes_;
    if (plan_) stats.cache_step_branches = plan_->cache_step_branches();
    return stats;
  }

  // From what really ran, so that it also holds for policies that decide as they go.
  double ideal_speedup(double forwards) const {
    const ForwardCost& cost = model_.cost();
    double ran = cost.rest * forwards;
    for (std::size_t u = 0; u < cost.units.size(); ++u) {
      ran += cost.units[u].truth * computed_by_unit_[u];
    }
    return cost.total().truth * forwards / ran;
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
  std::vector<double> computed_by_unit_;  // over all images
  std::int64_t cache_bytes_ = 0;
  std::optional<CachePlan> plan_;     // none: the policy decides as it goes
  std::unique_ptr<GraphSet> graphs_;  // null: none
  int batch_size_;
};

}  // namespace

struct Pipeline::Impl {
  Parts parts;
};

Pipeline Pipeline::load(const std::filesystem::path& model, const LoadOptions& options) {
  Parts parts;
  with_our_errors(loading_advice, [&] {
    const auto device = parse_device(options.device);
    auto source = open_dit(model, options.architecture, parse_weights(options.weights));
    parts.scheduler = read_scheduler(source, model);
    parts.class_names = std::move(source.class_names);
    parts.vae = load_vae(vae_folder(options, source.vae), source.config, device);
    parts.model = DiT::load(source.config, *source.weights, device, parse_dtype(options.dtype));
    parts.summary = summarize(parts);
  });
  Pipeline pipeline(parts.model);
  pipeline.impl_ = std::make_shared<const Impl>(Impl{std::move(parts)});
  return pipeline;
}

Pipeline Pipeline::seeded(const std::string& architecture, std::uint64_t seed,
                          const LoadOptions& options) {
  Parts parts;
  with_our_errors(loading_advice, [&] {
    const auto device = parse_device(options.device);
    const auto config = dit_config(architecture);
    parts.vae = load_vae(vae_folder(options, {}), config, device);
    parts.model =
        DiT::load(config, seeded_dit_weights(config, seed), device, parse_dtype(options.dtype));
    parts.summary = summarize(parts);
  });
  Pipeline pipeline(parts.model);
  pipeline.impl_ = std::make_shared<const Impl>(Impl{std::move(parts)});
  return pipeline;
}

Pipeline::Pipeline(std::shared_ptr<const Denoiser> model) {
  if (!model) throw InputError("a pipeline needs a model, not a null pointer");
  auto summary = summarize(*model);
  impl_ = std::make_shared<const Impl>(
      Impl{{.model = std::move(model), .summary = std::move(summary)}});
}

Result Pipeline::sample(const Request& request, const ProgressFunction& progress,
                        std::stop_token stop) const {
  Result result;
  const auto advice = fmt::format("try a batch size below {}", request.batch_size);
  with_our_errors(advice,
                  [&] { result = Run(impl_->parts, request, progress, std::move(stop))(); });
  return result;
}

std::optional<CachePlan> Pipeline::plan(const Request& request) const {
  const auto& info = impl_->parts.model->info();
  const auto prepared = prepare(request, info, impl_->parts.scheduler);
  return policy_of(request).plan(run_shape(info.blocks, prepared.schedule, prepared.sampler,
                                           info.fingerprint, prepared.guidance));
}

const ModelSummary& Pipeline::summary() const { return impl_->parts.summary; }
const ClassNames& Pipeline::class_names() const { return impl_->parts.class_names; }
const ForwardCost& Pipeline::cost() const { return impl_->parts.model->cost(); }

}  // namespace l2c
