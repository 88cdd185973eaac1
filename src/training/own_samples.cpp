#include "own_samples.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "l2c/cache/policies.h"
#include "l2c/core/error.h"
#include "l2c/core/log.h"
#include "l2c/diffusion/steps.h"
#include "l2c/io/safetensors.h"
#include "l2c/sampling/denoise.h"
#include "l2c/training/random.h"
#include "l2c/training/settings.h"
#include "reporting.h"

namespace l2c {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail(const fs::path& path, const std::error_code& error) {
  throw InputError(fmt::format("own samples '{}': {}", path.string(), error.message()));
}

bool is_there(const fs::path& path) {
  std::error_code error;
  const bool found = fs::exists(path, error);
  if (error) fail(path, error);
  return found;
}

void make_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) fail(path, error);
}

void set_aside(const fs::path& path) {
  std::error_code error;
  fs::rename(path, fs::path(path) += ".damaged", error);
  if (error) fail(path, error);
}

io::SafetensorsFile open_whole(const fs::path& path) {
  auto file = io::SafetensorsFile::open(path);
  if (io::metadata_value(file.metadata(), "checksum") ==
      io::content_checksum(file.tensors(), file.metadata())) {
    return file;
  }
  throw InputError(fmt::format("{}: the content does not match its checksum", path.string()));
}

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
    auto samples = read(file_);
    if (!samples) {
      write(file_, all_parts(progress, stop));
      samples = read(file_);
      if (!samples) throw RunError(fmt::format("'{}' was written, but is damaged", file_.string()));
    }
    std::error_code ignored;
    fs::remove_all(parts_, ignored);
    return *samples;
  }

 private:
  DataBatch all_parts(const TrainingProgressFunction& progress, const std::stop_token& stop) const {
    make_folder(parts_);
    std::vector<at::Tensor> latents, labels;
    for (std::int64_t first = 0; first < options_.count; first += options_.batch_size) {
      const auto count = std::min<std::int64_t>(options_.batch_size, options_.count - first);
      const fs::path part = parts_ / fmt::format("part-{:08d}.safetensors", first);
      auto batch = read(part);
      if (!batch) {
        batch = make(first, count, stop);
        write(part, *batch);
      }
      latents.push_back(batch->x);
      labels.push_back(batch->y);
      report(progress, first + count);
    }
    return {at::cat(latents), at::cat(labels)};
  }

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
    const io::TensorMap tensors{{"latents", batch.x}, {"labels", batch.y}};
    io::Metadata metadata{{"settings", settings_.to_json()}};
    metadata["checksum"] = io::content_checksum(tensors, metadata);
    io::write_safetensors(path, tensors, metadata);
  }

  // Nothing when there is no file, or a damaged one, which is set aside.
  [[nodiscard]] std::optional<DataBatch> read(const fs::path& path) const {
    if (!is_there(path)) return {};
    std::optional<io::SafetensorsFile> file;
    try {
      file = open_whole(path);
    } catch (const InputError& error) {
      log::warning(fmt::format("{}; these own samples are made again", error.what()));
      set_aside(path);
      return {};
    }
    check_settings(*file);
    return DataBatch{file->tensor("latents").clone(), file->tensor("labels").clone()};
  }

  void check_settings(const io::SafetensorsFile& file) const {
    const auto path = file.path().string();
    const auto saved =
        TrainingSettings::from_json(io::metadata_value(file.metadata(), "settings"), path);
    if (const auto differences = saved.differences(settings_); !differences.empty()) {
      throw InputError(fmt::format(
          "{} holds own samples that were made otherwise:\n  {}\nname another folder, or remove it",
          path, fmt::join(differences, "\n  ")));
    }
  }

  void report(const TrainingProgressFunction& progress, std::int64_t done) const {
    if (!progress) return;
    const double seconds = seconds_since(start_);
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
