#include "l2c/models/dit_source.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "diffusers.h"
#include "l2c/core/error.h"
#include "l2c/core/log.h"
#include "l2c/io/file.h"
#include "l2c/io/json_text.h"
#include "l2c/models/dit.h"

namespace l2c {

namespace {

namespace fs = std::filesystem;

void check_class_numbers(const ClassNames& names, const DiTConfig& config, const fs::path& folder) {
  if (names.empty() || names.texts().rbegin()->first < config.num_classes) return;
  throw InputError(fmt::format(
      "'{}': model_index.json names class {}, but the transformer has the classes 0 to {}",
      folder.string(), names.texts().rbegin()->first, config.num_classes - 1));
}

DiTSource from_diffusers(DiTConfig config, const io::Checkpoint& checkpoint) {
  DiTSource source;
  source.weights = std::make_unique<DiffusersWeights>(config, checkpoint);
  source.config = config;
  source.format = checkpoint.format;
  source.from_diffusers = true;
  return source;
}

DiTSource open_folder(const fs::path& folder, const std::string& arch, io::Weights weights) {
  DiffusersFiles files = find_diffusers(folder);
  const DiTConfig config = diffusers_config_for(arch, files.weights, files.config);
  check_class_numbers(files.class_names, config, folder);
  DiTSource source = from_diffusers(config, io::open_checkpoint(files.weights, weights));
  source.class_names = std::move(files.class_names);
  source.scheduler = std::move(files.scheduler);
  source.vae = std::move(files.vae);
  return source;
}

}  // namespace

DiTConfig diffusers_config_for(const std::string& arch, const fs::path& weights,
                               const fs::path& config) {
  if (config.empty()) {
    if (!arch.empty()) return dit_config(arch);
    throw InputError(fmt::format(
        "'{}' is a Diffusers transformer without its config.json: put that beside it, or name a "
        "JSON configuration or one of {}",
        weights.string(), fmt::join(dit_preset_names(), ", ")));
  }
  const DiTConfig found =
      diffusers_config(io::read_text_file(config, io::most_json_bytes), config.string());
  if (arch.empty()) return found;
  const DiTConfig asked = dit_config(arch);
  if (asked == found) return found;
  throw InputError(fmt::format("{} is not {}: {} (in {} and in {})", weights.string(), arch,
                               differences(asked, found), arch, config.string()));
}

bool has_diffusers_names(const io::TensorMap& tensors) {
  return std::ranges::any_of(
      tensors, [](const auto& entry) { return entry.first.starts_with("transformer_blocks."); });
}

DiTSource open_dit(const fs::path& path, const std::string& arch, io::Weights weights) {
  std::error_code error;
  if (fs::is_directory(path, error)) return open_folder(path, arch, weights);
  const auto checkpoint = io::open_checkpoint(path, weights);
  if (has_diffusers_names(checkpoint.tensors)) {
    const fs::path config = path.parent_path() / "config.json";
    const bool there = fs::exists(config, error);
    return from_diffusers(diffusers_config_for(arch, path, there ? config : fs::path()),
                          checkpoint);
  }
  DiTSource source;
  source.config = resolve_dit_config(arch, checkpoint);
  source.weights = std::make_unique<StoredWeights>(checkpoint);
  source.format = checkpoint.format;
  return source;
}

}  // namespace l2c
