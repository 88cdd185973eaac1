#include "sample_options.h"

#include <CLI/Validators.hpp>
#include <filesystem>
#include <system_error>

#include "l2c/sampling/latents.h"
#include "option_checks.h"

namespace l2c::cli {

namespace {

// F.safetensors or F.safetensors:tensor.
Latents read_noise(const std::string& text) {
  const auto colon = text.rfind(':');
  std::error_code error;
  if (std::filesystem::exists(text, error) || colon == std::string::npos) return load_latents(text);
  return load_latents(text.substr(0, colon), text.substr(colon + 1));
}

void add_model_options(CLI::App& app, SampleOptions& options) {
  app.add_option(
      "--from", options.from,
      "a PNG made by l2c: its settings, where no option says otherwise; model and router "
      "are checked against those it was made with, and have to be given");
  add_pipeline_options(app, options.pipeline);
  options.pipeline.load.vae.clear();
  app.add_option("--vae", options.pipeline.load.vae,
                 "folder of a Diffusers AutoencoderKL that makes pictures of latents, or none "
                 "(default: the vae/ of the model's Diffusers folder)");
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
  app.add_option("--seeds", options.seeds,
                 "a seed for each image, comma separated, in the order of the labels: image i is "
                 "that of a run of its label alone with this seed")
      ->delimiter(',')
      ->excludes("--seed");
  app.add_option("--initial-noise", options.initial_noise,
                 "noise [images, C, S, S] instead of the seed's: F.safetensors[:tensor]");
  app.add_option("--batch-size", options.batch_size, "images at a time")->capture_default_str();
  app.add_option(
         "--memory-limit", options.memory_limit,
         "that images may take beside the weights (bytes, \"500MB\", \"1.5GiB\"): fewer at a time "
         "then")
      ->type_name("SIZE")
      ->transform(size_in_bytes());
}

void add_output_options(CLI::App& app, SampleOptions& options) {
  app.add_option("--out", options.out, "PNG with all images (default: samples.png)");
  app.add_option("--images", options.images,
                 "folder for a PNG of each image, \"000003-label-207.png\"; made where there is "
                 "none");
  auto* preview = app.add_option("--preview", options.preview,
                                 "PNG that shows, while the run goes on, what the current images "
                                 "will be");
  app.add_option("--preview-every", options.preview_every,
                 "steps between two previews; the last step always has one")
      ->check(CLI::Range(1, 1000))
      ->needs(preview)
      ->capture_default_str();
  app.add_option("--save-latents", options.save_latents, "safetensors with the tensor \"latents\"");
  app.add_option("--stats", options.stats, "JSON with the numbers");
  app.add_flag("--compare", options.compare,
               "also compute everything with the same seeds: time, memory, PSNR; the PNG shows it "
               "above");
}

}  // namespace

void add_sample_options(CLI::App& app, SampleOptions& options) {
  add_model_options(app, options);
  add_cache_options(app, options.cache);
  add_step_options(app, options.step, /*folder=*/true);
  add_noise_options(app, options.noise);
  add_range_option(app, options.noise);
  add_request_options(app, options);
  add_output_options(app, options);
}

Request make_request(const SampleOptions& options, const Cache& cache) {
  Request request = make_request(options.step, options.noise, cache);
  request.per_class = options.per_class;
  request.seeds = options.seeds;
  request.first_image = options.first_image;
  request.batch_size = options.batch_size;
  request.memory_limit = static_cast<std::int64_t>(options.memory_limit);
  request.cuda_graphs = !options.no_cuda_graphs;
  request.pictures = !options.out.empty() || !options.images.empty();
  if (!options.preview.empty()) request.preview_every = options.preview_every;
  if (!options.initial_noise.empty()) request.initial_noise = read_noise(options.initial_noise);
  return request;
}

}  // namespace l2c::cli
