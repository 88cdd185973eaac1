#include "l2c/sampling/pipeline.h"

#include <fmt/format.h>

#include <utility>

#include "images.h"
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
#include "pipeline_run.h"
#include "prepare.h"

namespace l2c {

namespace {

constexpr const char* loading_advice =
    "the model needs more; close other programs or take another device";

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
          .device = model.device().is_cuda() ? "cuda" : "cpu",
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
        io::read_text_file(source.scheduler, io::most_json_bytes), source.scheduler.string());
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
ModelSummary summarize(const PipelineParts& parts) {
  ModelSummary summary = summarize(*parts.model);
  if (parts.scheduler.config) summary.scheduler = describe(*parts.scheduler.config);
  if (parts.vae) {
    summary.decodes = true;
    summary.vae = parts.vae->fingerprint();
    summary.image_size *= parts.vae->config().scale();
  }
  return summary;
}

}  // namespace

struct Pipeline::Impl {
  PipelineParts parts;
};

Pipeline Pipeline::load(const std::filesystem::path& model, const LoadOptions& options) {
  PipelineParts parts;
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
  PipelineParts parts;
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
                  [&] { result = run_request(impl_->parts, request, progress, std::move(stop)); });
  return result;
}

std::optional<CachePlan> Pipeline::plan(const Request& request) const {
  const auto& info = impl_->parts.model->info();
  const auto prepared = prepare(request, info, impl_->parts.scheduler);
  return planned(policy_of(request), run_shape(info.blocks, prepared.schedule, prepared.sampler,
                                               info.fingerprint, prepared.guidance));
}

const ModelSummary& Pipeline::summary() const { return impl_->parts.summary; }
const ClassNames& Pipeline::class_names() const { return impl_->parts.class_names; }
const ForwardCost& Pipeline::cost() const { return impl_->parts.model->cost(); }

}  // namespace l2c
