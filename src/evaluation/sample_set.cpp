#include "l2c/evaluation/sample_set.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <list>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "l2c/core/build_info.h"
#include "l2c/core/error.h"
#include "l2c/core/hash.h"
#include "l2c/core/log.h"
#include "l2c/io/claim.h"
#include "l2c/io/folder_lock.h"
#include "l2c/ops/cpu_isa.h"
#include "l2c/sampling/planning.h"
#include "sampling_settings.h"
#include "shard.h"
#include "shared_folder.h"

namespace l2c {

namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

void check_options(const Pipeline& pipeline, const SampleSetOptions& options) {
  if (options.images < 1) {
    throw InputError(fmt::format("{} images: give at least 1", options.images));
  }
  if (options.batches_per_shard < 1) {
    throw InputError(
        fmt::format("{} micro-batches a shard: give at least 1", options.batches_per_shard));
  }
  if (!pipeline.summary().makes_pixels) {
    throw InputError(fmt::format(
        "{} makes latents of {} channels, which need a decoder: only models of pixels (1 or 3 "
        "channels) can be evaluated",
        pipeline.summary().architecture, pipeline.summary().channels));
  }
}

std::int64_t images_in_shard(const SampleSetOptions& options) {
  return std::min(std::int64_t{options.request.batch_size} * options.batches_per_shard,
                  options.images);
}

// The first shard's request: what does not fit is refused.
void check_request(const Pipeline& pipeline, const SampleSetOptions& options) {
  Request request = options.request;
  if (request.sampler == SamplerKind::folder) {
    throw InputError(
        "sample sets are made by the official samplers, not by the scheduler of a model's folder: "
        "choose ddim or ddpm");
  }
  request.labels = {0};
  request.per_class = static_cast<int>(
      std::clamp<std::int64_t>(images_in_shard(options), 1, std::numeric_limits<int>::max()));
  request.first_image = 0;
  request.seeds.clear();
  request.initial_noise.reset();
  (void)pipeline.plan(request);
}

void check_settings(const Shard& shard, const TrainingSettings& settings, const fs::path& folder) {
  const auto differences = shard.settings.differences(settings, "the folder");
  if (differences.empty()) return;
  throw InputError(
      fmt::format("'{}' holds images that were sampled with other settings ({}): give them again, "
                  "or take another folder",
                  folder.string(), fmt::join(differences, "; ")));
}

bool holds(const Shard& shard, std::int64_t first, std::int64_t count) {
  return shard.first_image == first && shard.labels.size(0) == count;
}

// Those who share a folder make the same, so what they all write has one size.
TrainingSettings shared_settings(const Pipeline& pipeline, const SampleSetOptions& options) {
  auto settings = sample_set_settings(pipeline, options);
  settings.add("images", options.images);
  return settings;
}

// Brings one folder to completeness.
class Work {
 public:
  Work(const Pipeline& pipeline, const SampleSetOptions& options, const fs::path& folder,
       const SampleSetProgressFunction& progress, std::stop_token stop)
      : pipeline_(pipeline),
        options_(options),
        folder_(folder),
        progress_(progress),
        stop_(std::move(stop)),
        settings_(sample_set_settings(pipeline, options)),
        shard_images_(std::int64_t{options.request.batch_size} * options.batches_per_shard) {}

  // `lock`: of the folder, which is held meanwhile.
  std::vector<fs::path> operator()(const io::FolderLock& lock) {
    std::vector<fs::path> files;
    std::list<std::int64_t> missing;
    for (std::int64_t first = 0; first < options_.images; first += shard_images_) {
      files.push_back(file_of(first));
      if (is_there(first)) {
        found_ += count_from(first);
      } else {
        missing.push_back(first);
      }
    }
    done_ = found_;
    report(0);
    if (options_.share) {
      sample_with_others(std::move(missing), lock);
    } else {
      for (const auto first : missing) sample_shard(first);
    }
    return files;
  }

  // The finished shard. Throws InputError when somebody replaced it meanwhile.
  [[nodiscard]] Shard finished(std::int64_t first) const {
    auto shard = read_shard(file_of(first));
    check_settings(shard, settings_, folder_);
    if (holds(shard, first, count_from(first))) return shard;
    throw InputError(fmt::format(
        "'{}' holds {} images from number {} on instead of {} from {}: something else writes into "
        "the folder; stop it and sample again",
        file_of(first).string(), shard.labels.size(0), shard.first_image, count_from(first),
        first));
  }

  [[nodiscard]] std::int64_t shard_images() const { return shard_images_; }

  // Whether all that is there and whole has the settings of this call.
  void check() const {
    for (std::int64_t first = 0; first < options_.images; first += shard_images_) {
      std::error_code error;
      if (!fs::exists(file_of(first), error)) continue;
      std::optional<Shard> shard;
      try {
        shard = read_shard(file_of(first));
      } catch (const InputError&) {
        continue;  // will be sampled again
      }
      check_settings(*shard, settings_, folder_);
    }
  }

 private:
  [[nodiscard]] fs::path file_of(std::int64_t first) const {
    return folder_ / fmt::format("shard-{:05}.safetensors", first / shard_images_);
  }
  [[nodiscard]] std::int64_t count_from(std::int64_t first) const {
    return std::min(shard_images_, options_.images - first);
  }

  // Whether the shard can stay. Throws InputError when it was sampled with other settings.
  [[nodiscard]] bool is_there(std::int64_t first) const {
    const auto file = file_of(first);
    std::error_code error;
    if (!fs::exists(file, error)) return false;
    Shard shard;
    try {
      shard = read_shard(file);
    } catch (const InputError& damage) {
      log::warning(fmt::format("sampled again: {}", damage.what()));
      return false;
    }
    check_settings(shard, settings_, folder_);
    // Not so: the last shard of an earlier call that asked for fewer or more images.
    return holds(shard, first, count_from(first));
  }

  // Goes round over what is missing: what nobody claims is sampled, what others claim will be
  // there, or be free when they fail.
  void sample_with_others(std::list<std::int64_t> missing, const io::FolderLock& lock) {
    bool said = false;
    while (!missing.empty()) {
      const auto before = missing.size();
      missing.remove_if([&](std::int64_t first) { return finish_shared(first, lock); });
      if (missing.empty() || missing.size() < before) continue;
      if (!said) {
        log::info(fmt::format("waiting for other processes that sample in '{}'", folder_.string()));
      }
      said = true;
      if (stop_.stop_requested()) throw_cancelled();
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }

  // False: somebody else works on it.
  bool finish_shared(std::int64_t first, const io::FolderLock& lock) {
    const auto claim = io::Claim::attempt(claims_file(folder_), first / shard_images_);
    if (!claim) return false;
    if (is_there(first)) {
      found_ += count_from(first);
      done_ += count_from(first);
      report(0);
      return true;
    }
    const auto name = file_of(first).filename().string();
    lock.remove_partial_files([&](std::string_view partial) { return partial == name; });
    sample_shard(first);
    return true;
  }

  [[noreturn]] void throw_cancelled() const {
    throw Cancelled(
        fmt::format("cancelled; {} of {} images are in '{}': the same call goes on from there",
                    done_, options_.images, folder_.string()));
  }

  void sample_shard(std::int64_t first) {
    Request request = options_.request;
    request.labels.clear();
    for (std::int64_t i = first; i < first + count_from(first); ++i) {
      request.labels.push_back(static_cast<int>(i % pipeline_.summary().num_classes));
    }
    request.per_class = 1;
    request.first_image = first;
    request.seeds.clear();
    request.preview_every = 0;
    request.initial_noise.reset();
    write_shard(file_of(first), make_shard(run(request), first, settings_));
    done_ += count_from(first);
    report(0);
  }

  Result run(const Request& request) {
    const auto count = static_cast<std::int64_t>(request.labels.size());
    try {
      return pipeline_.sample(
          request,
          [&](const Progress& progress) {
            if (progress.phase == Phase::denoise && progress.step < progress.of) {
              report(count * progress.step / progress.of);
            }
          },
          stop_);
    } catch (const Cancelled&) {
      throw_cancelled();
    }
  }

  void report(std::int64_t of_this_shard) const {
    if (!progress_) return;
    progress_({.images = done_ + of_this_shard,
               .of = options_.images,
               .found = found_,
               .elapsed_seconds = std::chrono::duration<double>(Clock::now() - start_).count()});
  }

  const Pipeline& pipeline_;
  const SampleSetOptions& options_;
  const fs::path& folder_;
  const SampleSetProgressFunction& progress_;
  std::stop_token stop_;
  TrainingSettings settings_;
  std::int64_t shard_images_;
  std::int64_t found_ = 0;
  std::int64_t done_ = 0;
  Clock::time_point start_ = Clock::now();
};

// Adds up what the shards cost and hashes what they hold.
class Collector {
 public:
  void add(const Shard& shard) {
    const auto count = shard.labels.size(0);
    const auto images = static_cast<double>(count);
    images_ += images;
    computed_ += images * shard.cost.computed;
    reused_ += images * shard.cost.reused;
    work_ += images / shard.cost.ideal_speedup;
    cost_.denoise_seconds += shard.cost.denoise_seconds;
    cost_.steps = shard.cost.steps;
    cost_.cache_bytes = std::max(cost_.cache_bytes, shard.cost.cache_bytes);
    // Image by image, so that the division into shards leaves no trace.
    const auto pixels = shard.images.contiguous().flatten(1);
    for (std::int64_t i = 0; i < count; ++i) {
      hash_.number(shard.labels[i].item<std::int64_t>());
      hash_.bytes(pixels[i].const_data_ptr(), static_cast<std::size_t>(pixels.size(1)));
    }
  }
  [[nodiscard]] SamplingCost cost() const {
    SamplingCost cost = cost_;
    cost.computed = static_cast<int>(std::lround(computed_ / images_));
    cost.reused = static_cast<int>(std::lround(reused_ / images_));
    cost.ideal_speedup = images_ / work_;
    return cost;
  }
  [[nodiscard]] std::string fingerprint() const { return hash_.hex(); }

 private:
  double images_ = 0;
  double computed_ = 0;
  double reused_ = 0;
  double work_ = 0;  // in runs that compute everything
  SamplingCost cost_;
  Hash hash_;
};

}  // namespace

TrainingSettings sample_set_settings(const Pipeline& pipeline, const SampleSetOptions& options) {
  const Request& request = options.request;
  const auto shape = plan_shape(1, request.spacing, request.steps, "");
  const auto& model = pipeline.summary();
  TrainingSettings settings;
  settings.add("model", model.fingerprint);
  settings.add("architecture", model.architecture);
  settings.add("classes", std::int64_t{model.num_classes});
  settings.add("dtype", model.dtype);
  settings.add("policy", options.policy);
  settings.add("seed", fmt::format("{}", request.seed));
  settings.add("steps", static_cast<std::int64_t>(shape.evaluations.size()));
  settings.add("spacing", shape.spacing);
  settings.add("sampler", name_of(request.sampler));
  settings.add("eta", request.eta);
  settings.add("guidance", request.guidance);
  settings.add("guidance_channels", name_of(request.guidance_channels));
  // Only where it says something, so that older sample sets stay what they are.
  if (request.guidance_range != TimestepRange{}) {
    settings.add("guidance_range",
                 fmt::format("{},{}", request.guidance_range.low, request.guidance_range.high));
  }
  settings.add("batch_size", std::int64_t{request.batch_size});
  settings.add("batches_per_shard", std::int64_t{options.batches_per_shard});
  // Sums are split among threads: another number may change the last bit, and it changes the times.
  const auto machine = build_info();
  settings.add("threads", std::int64_t{machine.threads});
  // So do other kernels, ours and LibTorch's.
  settings.add("device", options.device.substr(0, options.device.find(':')));
  settings.add("instruction_set", ops::name(ops::cpu_isa()));
  settings.add("libtorch_instruction_set", machine.cpu_capability);
  return settings;
}

void SampleSet::check(const Pipeline& pipeline, const SampleSetOptions& options,
                      const fs::path& folder) {
  check_options(pipeline, options);
  check_request(pipeline, options);
  const SampleSetProgressFunction nobody;
  Work(pipeline, options, folder, nobody, {}).check();
}

SampleSet SampleSet::sample(const Pipeline& pipeline, const SampleSetOptions& options,
                            const fs::path& folder, const SampleSetProgressFunction& progress,
                            std::stop_token stop) {
  check(pipeline, options, folder);  // what does not fit fails here, before the folder is made
  const auto lock = options.share ? share_folder(folder, shared_settings(pipeline, options), stop)
                                  : io::FolderLock(folder, "folder", "another evaluation");
  if (!options.share) {
    lock.remove_partial_files([](std::string_view name) { return name.starts_with("shard-"); });
  }
  SampleSet set;
  Work work(pipeline, options, folder, progress, std::move(stop));
  set.files_ = work(lock);
  Collector collector;
  for (std::int64_t first = 0; first < options.images; first += work.shard_images()) {
    const auto shard = work.finished(first);
    collector.add(shard);
    set.checksums_.push_back(shard.checksum);
    set.size_ += shard.labels.size(0);
  }
  set.cost_ = collector.cost();
  set.fingerprint_ = collector.fingerprint();
  return set;
}

SampledImages SampleSet::images(int shard) const {
  if (shard < 0 || shard >= shards()) {
    throw InputError(fmt::format("shard {}: the set has {}, counted from 0", shard, shards()));
  }
  const auto number = static_cast<std::size_t>(shard);
  const auto read = read_shard(files_[number]);
  if (read.checksum != checksums_[number]) {
    throw InputError(
        fmt::format("{}: was replaced while it was in use; sample again", files_[number].string()));
  }
  return {.images = read.images.clone(), .labels = read.labels.clone()};
}

}  // namespace l2c
