#include "shard.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "l2c/core/error.h"
#include "l2c/io/safetensors.h"
#include "metadata.h"

namespace l2c {

namespace {

constexpr const char* checksum_key = "checksum";

io::Metadata metadata_of(const Shard& shard) {
  const SamplingCost& cost = shard.cost;
  return {{"format", "l2c sample shard 2"},
          {"settings", shard.settings.to_json()},
          {"first_image", fmt::format("{}", shard.first_image)},
          {"denoise_seconds", fmt::format("{}", cost.denoise_seconds)},
          {"steps", fmt::format("{}", cost.steps)},
          {"computed", fmt::format("{}", cost.computed)},
          {"reused", fmt::format("{}", cost.reused)},
          {"ideal_speedup", fmt::format("{}", cost.ideal_speedup)},
          {"cache_bytes", fmt::format("{}", cost.cache_bytes)}};
}

void check_tensors(const Shard& shard, const std::filesystem::path& path) {
  const bool fit = shard.images.dim() == 4 && shard.images.scalar_type() == at::kByte &&
                   shard.labels.dim() == 1 && shard.labels.scalar_type() == at::kLong &&
                   shard.labels.size(0) == shard.images.size(0);
  if (fit) return;
  throw InputError(fmt::format(
      "{}: expected \"images\" uint8 [N, C, S, S] and \"labels\" int64 [N]", path.string()));
}

}  // namespace

Shard make_shard(const Result& result, std::int64_t first_image, TrainingSettings settings) {
  const auto count = static_cast<std::int64_t>(result.images.size());
  const io::Bitmap& first = result.images.front().bitmap;
  const auto images = at::empty({count, first.height, first.width, first.channels}, at::kByte);
  const auto labels = at::empty({count}, at::kLong);
  auto* pixels = images.mutable_data_ptr<std::uint8_t>();
  auto* label = labels.mutable_data_ptr<std::int64_t>();
  for (const Image& image : result.images) {
    pixels = std::copy(image.bitmap.pixels.begin(), image.bitmap.pixels.end(), pixels);
    *label++ = image.label;
  }
  const RunStats& stats = result.stats;
  return {.images = images.permute({0, 3, 1, 2}).contiguous(),
          .labels = labels,
          .first_image = first_image,
          .cost = {.denoise_seconds = stats.denoise_seconds,
                   .steps = stats.steps,
                   .computed = stats.computed,
                   .reused = stats.reused,
                   .ideal_speedup = stats.ideal_speedup,
                   .cache_bytes = stats.cache_bytes},
          .settings = std::move(settings),
          .checksum = {}};
}

void write_shard(const std::filesystem::path& path, const Shard& shard) {
  auto metadata = metadata_of(shard);
  const io::TensorMap tensors{{"images", shard.images}, {"labels", shard.labels}};
  metadata[checksum_key] = io::content_checksum(tensors, metadata);
  io::write_safetensors(path, tensors, metadata);
}

Shard read_shard(const std::filesystem::path& path) {
  const auto file = io::SafetensorsFile::open(path);
  Shard shard;
  shard.images = file.tensor("images");
  shard.labels = file.tensor("labels");
  check_tensors(shard, path);
  shard.checksum = metadata_text(file, checksum_key);
  if (shard.checksum != io::content_checksum(file.tensors(), file.metadata())) {
    throw InputError(fmt::format("{}: its content does not match its checksum", path.string()));
  }
  shard.settings = TrainingSettings::from_json(metadata_text(file, "settings"), path.string());
  read_metadata(file, "first_image", shard.first_image);
  read_metadata(file, "denoise_seconds", shard.cost.denoise_seconds);
  read_metadata(file, "steps", shard.cost.steps);
  read_metadata(file, "computed", shard.cost.computed);
  read_metadata(file, "reused", shard.cost.reused);
  read_metadata(file, "ideal_speedup", shard.cost.ideal_speedup);
  read_metadata(file, "cache_bytes", shard.cost.cache_bytes);
  return shard;
}

}  // namespace l2c
