#include "replay.h"

#include <fmt/format.h>

#include <initializer_list>

#include "console.h"
#include "l2c/core/error.h"
#include "l2c/evaluation/policy_spec.h"

namespace l2c::cli {

namespace {

// Whether one of them is on the command line.
bool given(const CLI::App& command, std::initializer_list<const char*> options) {
  for (const char* option : options) {
    if (command.count(option) > 0) return true;
  }
  return false;
}

bool reuse_is_given(const SampleOptions& options) {
  return !options.cache.router.empty() || !options.cache.policy.empty() || options.cache.every;
}

[[noreturn]] void refuse(const SampleOptions& options, const std::string& why) {
  throw InputError(fmt::format("'{}' {}", options.from, why));
}

void take_cache(SampleOptions& options, const CLI::App& command, const ImageSettings& settings) {
  CacheOptions& cache = options.cache;
  if (!settings.router.empty() && !cache.router.empty()) {
    if (!cache.threshold) cache.threshold = settings.threshold;
    // One that was fitted has a file of its own, which has to be given.
    const bool fitted = settings.recall.rfind("fitted", 0) == 0;
    if (!given(command, {"--recall"}) && !fitted) cache.recall = settings.recall;
    return;
  }
  if (reuse_is_given(options) || settings.policy.empty()) return;
  if (!opens_no_file(settings.policy)) {
    refuse(options, fmt::format("names a file in its policy, \"{}\": a picture's settings open no "
                                "file; give --policy yourself if you trust it",
                                settings.policy));
  }
  cache.policy = settings.policy;
  if (given(command, {"--recall"})) cache.policy = cache.policy.substr(0, cache.policy.find('+'));
}

void take_steps(SampleOptions& options, const CLI::App& command, const Request& made) {
  if (!given(command, {"--steps", "--spacing"})) {
    options.step.spacing = made.spacing;
    if (made.spacing.empty()) options.step.steps = made.steps;
  }
  if (!given(command, {"--sampler"})) options.step.sampler = name_of(made.sampler);
}

void take_guidance(NoiseOptions& noise, const CLI::App& command, const Request& made) {
  if (!given(command, {"--eta"})) noise.eta = made.eta;
  if (!given(command, {"--cfg-scale"})) noise.cfg_scale = made.guidance;
  if (!given(command, {"--cfg-range"}) && made.guidance_range != TimestepRange{}) {
    noise.cfg_range = {made.guidance_range.low, made.guidance_range.high};
  }
  if (!given(command, {"--cfg-channels"})) {
    noise.cfg_channels = made.guidance_channels == GuidanceChannels::all ? "all" : "3";
  }
}

void take_images(SampleOptions& options, const CLI::App& command, const ImageSettings& settings) {
  const Request& made = settings.request;
  const bool same = !given(command, {"--labels", "--per-class"});
  if (!given(command, {"--labels"})) {
    for (const int label : made.labels) options.labels.push_back(fmt::format("{}", label));
  }
  if (!given(command, {"--per-class"})) options.per_class = made.per_class;
  if (same) options.image = settings.image;
  if (!given(command, {"--batch-size", "--memory-limit"})) options.batch_size = made.batch_size;
  if (given(command, {"--seeds"})) return;
  options.first_image = made.first_image;
  if (given(command, {"--seed"})) return;
  if (!same && !made.seeds.empty()) {
    refuse(options,
           "was made with a seed for each image, which are not those of other images: give "
           "--seed or --seeds");
  }
  options.noise.seed = made.seed;
  options.seeds = made.seeds;
}

}  // namespace

ImageSettings read_settings(const SampleOptions& options) {
  auto settings = read_image_settings(options.from);
  if (!settings) {
    refuse(options,
           "carries no settings: l2c sample did not write it, or another program wrote it "
           "anew and left them out");
  }
  return *settings;
}

void take_settings(SampleOptions& options, const CLI::App& command, const ImageSettings& settings) {
  if (!given(command, {"--dtype"})) {
    if (settings.dtype != "fp32" && settings.dtype != "bf16") {
      refuse(options, fmt::format("was made in \"{}\", which is no type of this program: fp32 or "
                                  "bf16",
                                  settings.dtype));
    }
    options.pipeline.load.dtype = settings.dtype;
  }
  take_cache(options, command, settings);
  take_steps(options, command, settings.request);
  take_guidance(options.noise, command, settings.request);
  take_images(options, command, settings);
  if (settings.compared) options.compare = true;
}

void check_cache(const ImageSettings& settings, const SampleOptions& options,
                 const CLI::App& command, const Cache& cache) {
  const auto router = cache.router ? cache.router->fingerprint() : std::string();
  const bool other_reuse = reuse_is_given(options) && options.cache.router.empty();
  if (!settings.router.empty() && router != settings.router && !other_reuse) {
    refuse(options, fmt::format("was made with the router {}, {}: give that router with --router",
                                settings.router,
                                router.empty() ? "and none is given" : "this one is " + router));
  }
  if (cache.identity == settings.cache) return;
  if (given(command, {"--threshold", "--recall", "--cache-every", "--policy"})) return;
  if (settings.router.empty() && !router.empty()) return;
  refuse(options, fmt::format("was made with {}, what is given makes {}: give --router, --policy "
                              "and --recall as they were",
                              settings.cache, cache.identity));
}

void check_model(const ImageSettings& settings, const Pipeline& pipeline) {
  const ModelSummary& model = pipeline.summary();
  if (model.fingerprint != settings.model) {
    throw InputError(fmt::format(
        "the picture was made by {} with fingerprint {}, this model is {} with {}: give "
        "the checkpoint that it was made with; for another model, give the settings as "
        "options (l2c inspect shows them)",
        settings.architecture, settings.model, model.architecture, model.fingerprint));
  }
  if (model.vae != settings.vae) {
    throw InputError(
        settings.vae.empty()
            ? std::string("the picture was made without a VAE: give --vae none")
            : fmt::format("the picture was made with the VAE {}, {}: give it with "
                          "--vae",
                          settings.vae,
                          model.vae.empty() ? "and there is none" : "this one is " + model.vae));
  }
  if (!settings.scheduler.empty() && model.scheduler != settings.scheduler) {
    throw InputError(
        fmt::format("the picture was made with the scheduler \"{}\", the model's folder has \"{}\"",
                    settings.scheduler, model.scheduler));
  }
}

void check_noise(const ImageSettings& settings, const Request& request) {
  const auto now =
      request.initial_noise ? latents_fingerprint(*request.initial_noise) : std::string();
  if (now == settings.initial_noise || settings.initial_noise.empty()) return;
  throw InputError(
      fmt::format("the picture was made from initial noise with fingerprint {}, {}: give that file "
                  "with --initial-noise",
                  settings.initial_noise, now.empty() ? "and none is given" : "this has " + now));
}

void note_differences(const ImageSettings& settings, const ImageSettings& now) {
  std::string other;
  const auto compare = [&](const char* what, const auto& then, const auto& today) {
    if (then == today) return;
    other += fmt::format("{}{} {}, now {}", other.empty() ? "" : "; ", what, then, today);
  };
  compare("l2c", settings.version, now.version);
  compare("device", settings.device, now.device);
  compare("instruction set", settings.instruction_set, now.instruction_set);
  if (settings.cache != now.cache) {
    complain(fmt::format("note: the picture was made with reuse {}, now {}: other images",
                         settings.cache, now.cache));
  }
  if (other.empty()) return;
  complain(fmt::format(
      "note: the picture was made with {}: images may differ, if only in the last bits", other));
}

}  // namespace l2c::cli
