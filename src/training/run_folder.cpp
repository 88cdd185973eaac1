#include "l2c/training/run_folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "l2c/core/error.h"
#include "l2c/core/log.h"
#include "l2c/io/safetensors.h"

namespace l2c {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view prefix = "checkpoint-";
constexpr std::string_view suffix = ".safetensors";
constexpr std::size_t generations = 2;

struct Found {
  std::int64_t step;
  fs::path file;
};

std::optional<std::int64_t> step_of(std::string_view name) {
  if (!name.starts_with(prefix) || !name.ends_with(suffix)) return {};
  const char* first = name.data() + prefix.size();
  const char* last = name.data() + name.size() - suffix.size();
  std::int64_t step = 0;
  const auto [end, error] = std::from_chars(first, last, step);
  if (error != std::errc() || end != last) return {};
  return step;
}

// Newest first.
std::vector<Found> checkpoints(const fs::path& folder) {
  std::vector<Found> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (const auto step = step_of(entry.path().filename().string())) {
      found.push_back({*step, entry.path()});
    }
  }
  if (error) {
    throw InputError(
        fmt::format("cannot read the training folder '{}': {}", folder.string(), error.message()));
  }
  std::sort(found.begin(), found.end(),
            [](const Found& a, const Found& b) { return a.step > b.step; });
  return found;
}

SavedState read(const Found& found) {
  const auto file = io::SafetensorsFile::open(found.file);
  SavedState state{.step = found.step,
                   .tensors = file.tensors(),
                   .metadata = file.metadata(),
                   .file = found.file};
  if (io::metadata_value(state.metadata, "checksum") !=
      io::content_checksum(state.tensors, state.metadata)) {
    throw InputError(
        fmt::format("{}: the content does not match its checksum", found.file.string()));
  }
  if (const auto step = io::metadata_value(state.metadata, "step");
      step != fmt::format("{}", found.step)) {
    throw InputError(fmt::format("{}: the file was renamed: it is the checkpoint of step {}",
                                 found.file.string(), step));
  }
  return state;
}

// The folder may hold files of others, too.
bool is_ours(std::string_view name) {
  return step_of(name) || name.starts_with("own-samples") || name == "curve.csv" ||
         name == "model.safetensors" || name == "router.safetensors" || name == "heat_map.png";
}

// Those newer than the one that is taken: they must not count as one of the two that are kept.
void set_damaged_aside(const std::vector<Found>& found, std::int64_t taken) {
  std::error_code ignored;
  for (const auto& [step, file] : found) {
    if (step > taken) fs::rename(file, fs::path(file) += ".damaged", ignored);
  }
}

void check_settings(const SavedState& state, const TrainingSettings& settings) {
  const auto saved = TrainingSettings::from_json(io::metadata_value(state.metadata, "settings"),
                                                 state.file.string());
  const auto differences = saved.differences(settings);
  if (differences.empty()) return;
  throw InputError(
      fmt::format("{} is of a training with other settings:\n  {}\nresume with the same ones, or "
                  "name another folder for a new training",
                  state.file.string(), fmt::join(differences, "\n  ")));
}

}  // namespace

const at::Tensor& SavedState::tensor(const std::string& name) const {
  const auto found = tensors.find(name);
  if (found != tensors.end()) return found->second;
  throw InputError(fmt::format("{} lacks {}: it is not one of this training", file.string(), name));
}

RunFolder::RunFolder(fs::path folder)
    : folder_(std::move(folder)), lock_(folder_, "training folder", "another training") {
  lock_.remove_partial_files(is_ours);  // of a training that was killed while it wrote
}

std::optional<SavedState> RunFolder::load(const TrainingSettings& settings) const {
  const auto found = checkpoints(folder_);
  std::vector<std::string> problems;
  for (const auto& checkpoint : found) {
    std::optional<SavedState> state;
    try {
      state = read(checkpoint);
    } catch (const InputError& error) {
      problems.emplace_back(error.what());
      continue;
    }
    check_settings(*state, settings);
    for (const auto& problem : problems) {
      log::warning(fmt::format("{}; going on from {}", problem, checkpoint.file.string()));
    }
    set_damaged_aside(found, checkpoint.step);
    return state;
  }
  if (found.empty()) return {};
  throw InputError(
      fmt::format("no checkpoint of the training in '{}' can be read:\n  {}\nname another folder, "
                  "or remove them to start again",
                  folder_.string(), fmt::join(problems, "\n  ")));
}

void RunFolder::save(std::int64_t step, const io::TensorMap& tensors,
                     const TrainingSettings& settings, io::Metadata metadata) {
  metadata["step"] = fmt::format("{}", step);
  metadata["settings"] = settings.to_json();
  metadata["checksum"] = io::content_checksum(tensors, metadata);
  io::write_safetensors(folder_ / fmt::format("{}{:08d}{}", prefix, step, suffix), tensors,
                        metadata);
  auto found = checkpoints(folder_);
  std::error_code ignored;
  for (std::size_t i = generations; i < found.size(); ++i) fs::remove(found[i].file, ignored);
}

}  // namespace l2c
