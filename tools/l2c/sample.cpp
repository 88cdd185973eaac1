// l2c sample: images from a model, with and without reuse.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <numeric>

#include "arguments.h"
#include "commands.h"
#include "console.h"
#include "interrupt.h"
#include "l2c/core/build_info.h"
#include "l2c/core/error.h"
#include "l2c/evaluation/policy_spec.h"
#include "l2c/sampling/image_settings.h"
#include "l2c/sampling/pipeline.h"
#include "l2c/sampling/planning.h"
#include "replay.h"
#include "report.h"
#include "sample_options.h"
#include "sample_outputs.h"

namespace l2c::cli {

namespace {

// The labels to draw when none are asked for.
constexpr int default_label_count = 10;

std::vector<int> labels_of(const SampleOptions& options, const Pipeline& pipeline) {
  if (!options.labels.empty()) return parse_labels(options.labels, pipeline.class_names());
  std::vector<int> labels(
      static_cast<std::size_t>(std::min(default_label_count, pipeline.summary().num_classes)));
  std::iota(labels.begin(), labels.end(), 0);
  return labels;
}

// False when it cannot be written: no reason to lose the run.
bool show_preview(const SampleOptions& options, const std::vector<Image>& images) {
  try {
    write_preview(options, images);
    return true;
  } catch (const Error& error) {
    complain(fmt::format("note: no more previews: {}", error.what()));
    return false;
  }
}

Result run(const Pipeline& pipeline, const Request& request, const SampleOptions& options,
           const std::string& title, const std::stop_token& stop) {
  ProgressLine line(title);
  bool previews = true;
  const auto show = [&](const Progress& progress) {
    line.show(progress);
    if (!progress.preview.empty() && previews) previews = show_preview(options, progress.preview);
  };
  return pipeline.sample(request, show, stop);
}

// The first forward pass of a process pays for LibTorch's start: not a part of either run's time.
void warm_up(const Pipeline& pipeline, const Request& request, const std::stop_token& stop) {
  Request first = request;
  first.labels = {request.labels.front()};
  first.per_class =
      std::min(request.batch_size, request.per_class * static_cast<int>(request.labels.size()));
  first.steps = 1;
  first.pictures = false;
  first.preview_every = 0;
  first.seeds.clear();
  first.guidance_range = {};
  first.spacing.clear();
  first.cache = nullptr;
  first.initial_noise.reset();
  (void)pipeline.sample(first, {}, stop);
}

// What tells which timesteps the run had.
std::string spacing_of(const Request& request, const Pipeline& pipeline) {
  if (request.sampler == SamplerKind::folder) return pipeline.summary().scheduler;
  return plan_shape(1, request.spacing, request.steps, "").spacing;
}

nlohmann::ordered_json settings_json(const SampleOptions& options, const Cache& cache,
                                     const Request& request, const Pipeline& pipeline) {
  const PipelineOptions& source = options.pipeline;
  nlohmann::ordered_json json{{"model", source.init.empty() ? source.model : source.init},
                              {"architecture", pipeline.summary().architecture},
                              {"fingerprint", pipeline.summary().fingerprint},
                              {"policy", cache.policy ? cache.policy->name() : "compute all"},
                              {"router", options.cache.router},
                              {"sampler", options.step.sampler},
                              {"spacing", spacing_of(request, pipeline)},
                              {"eta", request.eta},
                              {"cfg_scale", request.guidance},
                              {"cfg_channels", options.noise.cfg_channels},
                              {"labels", request.labels},
                              {"per_class", request.per_class},
                              {"seed", request.seed},
                              {"seeds", request.seeds},
                              {"first_image", request.first_image},
                              {"batch_size", request.batch_size},
                              {"memory_limit", request.memory_limit},
                              {"dtype", source.load.dtype},
                              {"device", source.load.device},
                              {"cuda_graphs", request.cuda_graphs},
                              {"threads", build_info().threads}};
  if (!options.noise.cfg_range.empty()) json["cfg_range"] = options.noise.cfg_range;
  if (cache.router) json["threshold"] = cache.threshold;
  if (pipeline.summary().decodes) {
    json["vae"] = source.load.vae.empty() ? "the model's folder" : source.load.vae;
  }
  return json;
}

// What the pictures carry.
ImageSettings picture_settings(const SampleOptions& options, const Cache& cache,
                               const Request& request, const Pipeline& pipeline,
                               const RunStats& stats) {
  auto settings = image_settings(pipeline, request, stats);
  settings.cache = cache.identity;
  if (cache.router) {
    settings.router = cache.router->fingerprint();
    settings.threshold = cache.threshold;
    // Without the name of the file, which is nobody else's business.
    settings.recall = cache.recall_text.rfind("fitted", 0) == 0 ? "fitted" : cache.recall_text;
  } else if (opens_no_file(cache.text)) {
    settings.policy = cache.text;
  }
  settings.compared = options.compare;
  settings.image = options.image;
  return settings;
}

// The picture's settings may be anything.
void check_image(const SampleOptions& options, const Request& request) {
  const auto images = static_cast<std::int64_t>(request.labels.size()) * request.per_class;
  if (!options.image || (*options.image >= 0 && *options.image < images)) return;
  throw InputError(fmt::format("'{}' says that it shows image {} of {}: its settings are damaged",
                               options.from, *options.image, images));
}

void note_false_colours(const SampleOptions& options, const ModelSummary& model) {
  const auto& shown = options.out.empty() ? options.images : options.out;
  if (shown.empty() || model.makes_pixels || model.decodes) return;
  complain(
      fmt::format("note: {}-channel latents need a decoder (--vae); {} will be a false-colour "
                  "preview",
                  model.channels, shown));
}

struct Runs {
  Result result;
  std::optional<Result> full;  // with everything computed
};

Runs run_all(const SampleOptions& options, const Pipeline& pipeline, const Request& request,
             const std::stop_token& stop) {
  Runs runs;
  if (options.compare) {
    warm_up(pipeline, request, stop);
    Request uncached = request;
    uncached.cache = nullptr;
    runs.full = run(pipeline, uncached, options, "all computed", stop);
  }
  runs.result = run(pipeline, request, options, request.cache ? "cached" : "all computed", stop);
  return runs;
}

// The image that the picture shows, when it shows one alone.
Result only(Result result, int image) {
  const auto i = static_cast<std::size_t>(image);
  const auto size =
      result.latents.values.size() / static_cast<std::size_t>(result.latents.images());
  const auto first = result.latents.values.begin() + static_cast<std::ptrdiff_t>(i * size);
  result.latents.values = std::vector<float>(first, first + static_cast<std::ptrdiff_t>(size));
  result.latents.shape[0] = 1;
  if (!result.images.empty()) result.images = {result.images.at(i)};
  return result;
}

// A picture's settings, if one is given, say what the command line does not.
std::optional<ImageSettings> take_from(SampleOptions& options, const CLI::App& command) {
  if (options.from.empty()) return std::nullopt;
  const auto settings = read_settings(options);
  take_settings(options, command, settings);
  return settings;
}

Pipeline open(const SampleOptions& options, const std::optional<ImageSettings>& from) {
  auto pipeline = open_pipeline(options.pipeline);
  if (from) check_model(*from, pipeline);
  return pipeline;
}

void sample(SampleOptions options, const CLI::App& command) {
  check_pipeline(options.pipeline);
  const auto from = take_from(options, command);
  prepare_outputs(options);
  const Interrupt interrupt;
  if (options.threads) set_threads(*options.threads);
  const Cache cache = make_cache(options.cache);
  if (from) check_cache(*from, options, command, cache);
  if (options.compare && !cache.policy) {
    throw InputError(
        "--compare needs something to compare: give --router, --cache-every or --policy");
  }
  Request request = make_request(options, cache);
  if (from) check_noise(*from, request);
  const auto pipeline = open(options, from);
  request.labels = labels_of(options, pipeline);
  (void)pipeline.plan(request);  // a request that does not fit fails here, before any work
  check_image(options, request);
  check_sheet_size(options, request, pipeline.summary().image_size);
  prepare_images(options, request);
  note_false_colours(options, pipeline.summary());

  auto [result, full] = run_all(options, pipeline, request, interrupt.token());
  if (options.image) {
    result = only(std::move(result), *options.image);
    if (full) full = only(std::move(*full), *options.image);
  }
  std::optional<Comparison> comparison;
  if (full) comparison = compare(result, *full, pipeline.summary().makes_pixels);
  auto stats = stats_json(result.stats, comparison);
  stats["settings"] = settings_json(options, cache, request, pipeline);
  say(stats_table(result.stats, comparison));
  const auto settings = picture_settings(options, cache, request, pipeline, result.stats);
  if (from) note_differences(*from, settings);
  write_outputs(options, {request, result, full, stats, settings});
}

}  // namespace

void add_sample(CLI::App& app) {
  auto* command = app.add_subcommand("sample", "Make images.");
  auto options = std::make_shared<SampleOptions>();
  add_sample_options(*command, *options);
  command->footer(
      "Example: try four images, see what the router saves and what it costs\n"
      "  l2c sample --model DiT-XL-2-256x256.pt --arch DiT-XL/2 --router DDIM20_router.pt \\\n"
      "    --threshold 0.1 --labels 207,360,387,974 --compare --out try.png --stats try.json\n"
      "A Diffusers folder brings the names of its classes:\n"
      "  l2c sample --model DiT-XL-2-256 --labels \"golden retriever,otter\" --out try.png\n"
      "A picture carries its settings; to make it again, and then with another seed\n"
      "  l2c sample --from try.png --model DiT-XL-2-256 --out again.png\n"
      "  l2c sample --from try.png --model DiT-XL-2-256 --seed 1 --out other.png");
  command->callback([options, command] { sample(*options, *command); });
}

}  // namespace l2c::cli
