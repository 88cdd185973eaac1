#include "own_samples.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "l2c/cache/policies.h"
#include "l2c/core/error.h"
#include "l2c/diffusion/steps.h"
#include "l2c/io/safetensors.h"
#include "l2c/sampling/denoise.h"
#include "l2c/training/random.h"
#include "l2c/training/settings.h"

namespace l2c {

namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

class Maker {
 public:
  Maker(const Denoiser& model, const Schedule& schedule, const OwnSampleOptions& options,
        std::uint64_t seed, const fs::path& folder)
      : model_(model),
        schedule_(schedule),
        options_(options),
        random_(seed),
        file_(folder / "own-samples.safetensors"),
        parts_(folder / "own-samples") {
    settings_.add("model", model.info().fingerprint);
    settings_.add("own_samples", std::int64_t{options.count});
    settings_.add("own_guidance", options.guidance);
    settings_.add("own_batch_size", std::int64_t{options.batch_size});
    settings_.add("spacing", schedule.spacing);
    settings_.add("seed", fmt::format("{}", seed));
  }

  DataBatch operator()(const TrainingProgressFunction& progress, const std::stop_token& stop) {
    if (fs::exists(file_)) return read(file_);
    fs::create_directories(parts_);
    std::vector<at::Tensor> latents, labels;
    for (std::int64_t first = 0; first < options_.count; first += options_.batch_size) {
      const auto count = std::min<std::int64_t>(options_.batch_size, options_.count - first);
      const fs::path part = parts_ / fmt::format("part-{:08d}.safetensors", first);
      if (!fs::exists(part)) write(part, make(first, count, stop));
      const DataBatch batch = read(part);
      latents.push_back(batch.x);
      labels.push_back(batch.y);
      report(progress, first + count);
    }
    write(file_, {at::cat(latents), at::cat(labels)});
    std::error_code ignored;
    fs::remove_all(parts_, ignored);
    return read(file_);
  }

 private:
  DataBatch make(std::int64_t first, std::int64_t count, const std::stop_token& stop) const {
    const DenoiserInfo& info = model_.info();
    std::vector<at::Tensor> noise;
    for (std::int64_t i = first; i < first + count; ++i) {
      noise.push_back(random_.normal(DrawFor::own_samples, i,
                                     {info.in_channels, info.input_size, info.input_size}));
    }
    const at::Tensor labels = at::arange(first, first + count, at::kLong) % info.num_classes;
    const ComputeAll all;
    const DenoiseJob job{
        .model = model_,
        .schedule = schedule_,
        .policy = all,
        .step =
            [this](int i, int, const at::Tensor& x, const at::Tensor& output) {
              return ddim_step(schedule_, i, x, output, /*eta=*/0, {});
            },
        .guidance = {.scale = options_.guidance, .channels = std::min(3, info.in_channels)},
        .sampler = "ddim",
        .stop = stop,
        .observer = {}};
    try {
      const auto result =
          denoise(job, at::stack(noise).to(model_.device()), labels.to(model_.device()));
      return {result.latents.cpu(), labels};
    } catch (const Cancelled&) {
      throw Cancelled(fmt::format(
          "stopped after {} of {} own samples, which are kept in '{}': the same command goes on",
          first, options_.count, parts_.string()));
    }
  }

  void write(const fs::path& path, const DataBatch& batch) const {
    io::write_safetensors(path, {{"latents", batch.x}, {"labels", batch.y}},
                          {{"settings", settings_.to_json()}});
  }

  [[nodiscard]] DataBatch read(const fs::path& path) const {
    const auto file = io::SafetensorsFile::open(path);
    const auto found = file.metadata().find("settings");
    const auto saved = TrainingSettings::from_json(
        found == file.metadata().end() ? std::string() : found->second, path.string());
    if (const auto differences = saved.differences(settings_); !differences.empty()) {
      throw InputError(fmt::format(
          "{} holds own samples that were made otherwise:\n  {}\nname another folder, or remove it",
          path.string(), fmt::join(differences, "\n  ")));
    }
    return {file.tensor("latents").clone(), file.tensor("labels").clone()};
  }

  void report(const TrainingProgressFunction& progress, std::int64_t done) const {
    if (!progress) return;
    const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    progress({.step = done,
              .of = options_.count,
              .resumed_from = 0,
              .elapsed_seconds = seconds,
              .samples_per_second = static_cast<double>(done) / std::max(seconds, 1e-9),
              .values = {{"own_samples", static_cast<double>(done)}}});
  }

  const Denoiser& model_;
  const Schedule& schedule_;
  const OwnSampleOptions& options_;
  TrainingRandom random_;
  fs::path file_;   // all of them
  fs::path parts_;  // while they are made: one file a batch
  TrainingSettings settings_;
  Clock::time_point start_ = Clock::now();
};

}  // namespace

std::shared_ptr<const DataSet> own_samples(const Denoiser& model, const Schedule& schedule,
                                           const OwnSampleOptions& options, std::uint64_t seed,
                                           const fs::path& folder,
                                           const TrainingProgressFunction& progress,
                                           const std::stop_token& stop) {
  const DataBatch samples = Maker(model, schedule, options, seed, folder)(progress, stop);
  return tensor_data(samples.x, samples.y, model.info().num_classes,
                     fmt::format("{} own samples of {} steps, guidance {}", options.count,
                                 schedule.steps(), options.guidance));
}

}  // namespace l2c
