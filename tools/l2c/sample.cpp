// l2c sample: images from a model, with and without reuse.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <filesystem>
#include <numeric>
#include <system_error>

#include "arguments.h"
#include "commands.h"
#include "console.h"
#include "interrupt.h"
#include "l2c/core/build_info.h"
#include "l2c/core/error.h"
#include "l2c/io/png.h"
#include "l2c/sampling/contact_sheet.h"
#include "l2c/sampling/pipeline.h"
#include "l2c/sampling/planning.h"
#include "report.h"

namespace l2c::cli {

namespace {

struct SampleOptions {
  PipelineOptions pipeline;
  CacheOptions cache;
  StepOptions step;
  NoiseOptions noise;
  std::vector<std::string> labels;  // numbers and names
  int per_class = 1;
  std::string initial_noise;
  int batch_size = 16;
  std::uint64_t memory_limit = 0;
  std::optional<int> threads;
  std::string out;
  std::string save_latents;
  std::string stats;
  bool compare = false;
  bool no_cuda_graphs = false;
};

// The labels to draw when none are asked for.
constexpr int default_label_count = 10;

void check_outputs(SampleOptions& options) {
  if (options.out.empty() && options.save_latents.empty() && options.stats.empty()) {
    options.out = "samples.png";
  }
  cli::check_outputs({options.out, options.save_latents, options.stats});
}

std::vector<int> labels_of(const SampleOptions& options, const Pipeline& pipeline) {
  if (!options.labels.empty()) return parse_labels(options.labels, pipeline.class_names());
  std::vector<int> labels(
      static_cast<std::size_t>(std::min(default_label_count, pipeline.summary().num_classes)));
  std::iota(labels.begin(), labels.end(), 0);
  return labels;
}

// F.safetensors or F.safetensors:tensor.
Latents read_noise(const std::string& text) {
  const auto colon = text.rfind(':');
  std::error_code error;
  if (std::filesystem::exists(text, error) || colon == std::string::npos) return load_latents(text);
  return load_latents(text.substr(0, colon), text.substr(colon + 1));
}

Request make_request(const SampleOptions& options, const Cache& cache) {
  Request request = cli::make_request(options.step, options.noise, cache);
  request.per_class = options.per_class;
  request.batch_size = options.batch_size;
  request.memory_limit = static_cast<std::int64_t>(options.memory_limit);
  request.cuda_graphs = !options.no_cuda_graphs;
  request.pictures = !options.out.empty();
  if (!options.initial_noise.empty()) request.initial_noise = read_noise(options.initial_noise);
  return request;
}

Result run(const Pipeline& pipeline, const Request& request, const std::string& title,
           const std::stop_token& stop) {
  ProgressLine line(title);
  return pipeline.sample(request, [&](const Progress& progress) { line.show(progress); }, stop);
}

// The first forward pass of a process pays for LibTorch's start: not a part of either run's time.
void warm_up(const Pipeline& pipeline, const Request& request, const std::stop_token& stop) {
  Request first = request;
  first.labels = {request.labels.front()};
  first.per_class =
      std::min(request.batch_size, request.per_class * static_cast<int>(request.labels.size()));
  first.steps = 1;
  first.pictures = false;
  first.spacing.clear();
  first.cache = nullptr;
  first.initial_noise.reset();
  (void)pipeline.sample(first, {}, stop);
}

// One column a class, one row an image of it; a single row of classes is broken after ten.
io::Bitmap sheet(const Result& result, const Request& request) {
  const int classes = static_cast<int>(request.labels.size());
  if (request.per_class == 1) return contact_sheet(result.images, std::min(classes, 10));
  std::vector<Image> by_row;
  for (int j = 0; j < request.per_class; ++j) {
    for (int k = 0; k < classes; ++k) {
      by_row.push_back(result.images[static_cast<std::size_t>(k * request.per_class + j)]);
    }
  }
  return contact_sheet(by_row, classes);
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
                              {"batch_size", request.batch_size},
                              {"memory_limit", request.memory_limit},
                              {"dtype", source.load.dtype},
                              {"device", source.load.device},
                              {"cuda_graphs", request.cuda_graphs},
                              {"threads", build_info().threads}};
  if (cache.router) json["threshold"] = cache.threshold;
  if (pipeline.summary().decodes) {
    json["vae"] = source.load.vae.empty() ? "the model's folder" : source.load.vae;
  }
  return json;
}

// The numbers before the picture: if that fails, the run's results are not lost.
void write_outputs(const SampleOptions& options, const Request& request, const Result& result,
                   const std::optional<Result>& full, const nlohmann::ordered_json& stats) {
  if (!options.save_latents.empty()) {
    save_latents(options.save_latents, result.latents);
    say(fmt::format("wrote {}", options.save_latents));
  }
  if (!options.stats.empty()) {
    write_json(options.stats, stats);
    say(fmt::format("wrote {}", options.stats));
  }
  if (!options.out.empty()) {
    auto bitmap = sheet(result, request);
    if (full) bitmap = stack(sheet(*full, request), bitmap);
    io::write_png(options.out, bitmap);
    say(fmt::format("wrote {}", options.out));
  }
}

// Before the work: whether the picture of so many images can be written at all. Counted a little
// too large: every image with its margin, and a half-filled last row.
void check_sheet_size(const SampleOptions& options, const Request& request, int size) {
  constexpr std::int64_t margins = 12;
  const auto images = static_cast<std::int64_t>(request.labels.size()) * request.per_class;
  const auto pixels =
      (images + 10) * (size + margins) * (size + margins) * (options.compare ? 2 : 1);
  if (options.out.empty() || pixels <= io::most_png_pixels) return;
  throw InputError(
      fmt::format("{} images do not fit into one PNG of {} pixels: ask for fewer, or "
                  "give --save-latents without --out",
                  images, io::most_png_pixels));
}

void sample(SampleOptions options) {
  check_pipeline(options.pipeline);
  check_outputs(options);
  const Interrupt interrupt;
  if (options.threads) set_threads(*options.threads);
  const Cache cache = make_cache(options.cache);
  if (options.compare && !cache.policy) {
    throw InputError(
        "--compare needs something to compare: give --router, --cache-every or --policy");
  }
  Request request = make_request(options, cache);
  const auto pipeline = open_pipeline(options.pipeline);
  request.labels = labels_of(options, pipeline);
  (void)pipeline.plan(request);  // a request that does not fit fails here, before any work
  check_sheet_size(options, request, pipeline.summary().image_size);
  const auto& model = pipeline.summary();
  if (!options.out.empty() && !model.makes_pixels && !model.decodes) {
    complain(
        fmt::format("note: {}-channel latents need a decoder (--vae); {} will be a "
                    "false-colour preview",
                    model.channels, options.out));
  }

  std::optional<Result> full;
  if (options.compare) {
    warm_up(pipeline, request, interrupt.token());
    Request uncached = request;
    uncached.cache = nullptr;
    full = run(pipeline, uncached, "all computed", interrupt.token());
  }
  const auto result =
      run(pipeline, request, cache.policy ? "cached" : "all computed", interrupt.token());
  std::optional<Comparison> comparison;
  if (full) comparison = compare(result, *full, pipeline.summary().makes_pixels);

  auto stats = stats_json(result.stats, comparison);
  stats["settings"] = settings_json(options, cache, request, pipeline);
  say(stats_table(result.stats, comparison));
  write_outputs(options, request, result, full, stats);
}

void add_speed_options(CLI::App& app, SampleOptions& options) {
  app.add_option("--dtype", options.pipeline.load.dtype,
                 "of products and kept branches: fp32, or bf16 (faster, half the memory)")
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "CPU threads (default: all cores)");
  app.add_flag(
      "--no-cuda-graphs", options.no_cuda_graphs,
      "on a GPU: call the model anew in every step instead of repeating what was recorded; "
      "no effect on the CPU");
}

void add_request_options(CLI::App& app, SampleOptions& options) {
  app.add_option(
         "--labels", options.labels,
         "classes, comma separated: numbers, or names where the model's Diffusers folder has "
         "them (\"golden retriever\"; default: the first ten)")
      ->delimiter(',');
  app.add_option("--per-class", options.per_class, "images a label")->capture_default_str();
  app.add_option("--initial-noise", options.initial_noise,
                 "noise [images, C, S, S] instead of the seed's: F.safetensors[:tensor]");
  app.add_option("--batch-size", options.batch_size, "images at a time")->capture_default_str();
  app.add_option(
         "--memory-limit", options.memory_limit,
         "that images may take beside the weights (\"500MB\", \"2GiB\"): fewer at a time then")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/true));
}

void add_output_options(CLI::App& app, SampleOptions& options) {
  app.add_option("--out", options.out, "PNG with all images (default: samples.png)");
  app.add_option("--save-latents", options.save_latents, "safetensors with the tensor \"latents\"");
  app.add_option("--stats", options.stats, "JSON with the numbers");
  app.add_flag("--compare", options.compare,
               "also compute everything with the same seeds: time, memory, PSNR; the PNG shows it "
               "above");
}

}  // namespace

void add_sample(CLI::App& app) {
  auto* command = app.add_subcommand("sample", "Make images.");
  auto options = std::make_shared<SampleOptions>();
  add_pipeline_options(*command, options->pipeline);
  options->pipeline.load.vae.clear();
  command->add_option("--vae", options->pipeline.load.vae,
                      "folder of a Diffusers AutoencoderKL that makes pictures of latents, or none "
                      "(default: the vae/ of the model's Diffusers folder)");
  add_speed_options(*command, *options);
  add_cache_options(*command, options->cache);
  add_step_options(*command, options->step, /*folder=*/true);
  add_noise_options(*command, options->noise);
  add_request_options(*command, *options);
  add_output_options(*command, *options);
  command->footer(
      "Example: try four images, see what the router saves and what it costs\n"
      "  l2c sample --model DiT-XL-2-256x256.pt --arch DiT-XL/2 --router DDIM20_router.pt \\\n"
      "    --threshold 0.1 --labels 207,360,387,974 --compare --out try.png --stats try.json\n"
      "A Diffusers folder brings the names of its classes:\n"
      "  l2c sample --model DiT-XL-2-256 --labels \"golden retriever,otter\" --out try.png");
  command->callback([options] { sample(*options); });
}

}  // namespace l2c::cli
