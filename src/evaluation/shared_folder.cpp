#include "shared_folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "features.h"
#include "l2c/core/error.h"
#include "l2c/io/claim.h"
#include "l2c/io/file.h"

namespace l2c {

namespace fs = std::filesystem;

namespace {

constexpr const char* folder_name = "folder";
constexpr std::int64_t settings_claim = std::numeric_limits<std::int64_t>::max() - 1;  // no shard's

// Held for the moment that entering the folder takes.
io::Claim claim_entrance(const fs::path& folder, const std::stop_token& stop) {
  while (true) {
    auto claim = io::Claim::attempt(claims_file(folder), settings_claim);
    if (claim) return std::move(*claim);
    check_stop(stop, "waiting for other processes that share the folder");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) return;
  throw InputError(
      fmt::format("cannot make the folder '{}': {}", folder.string(), error.message()));
}

// Nothing where there is no such file, or a damaged one.
std::optional<TrainingSettings> read_settings(const fs::path& file) {
  std::error_code error;
  if (!fs::exists(file, error)) return {};
  try {
    return TrainingSettings::from_json(io::read_text_file(file), file.string());
  } catch (const InputError&) {
    return {};
  }
}

void write_settings(const fs::path& file, const TrainingSettings& settings) {
  io::AtomicFile text(file);
  text.write(settings.to_json());
  text.commit();
}

io::FolderLock lock_shared(const fs::path& folder) {
  return io::FolderLock::shared(folder, folder_name, "an evaluation that does not share");
}

[[noreturn]] void refuse(const fs::path& folder, const std::optional<TrainingSettings>& theirs,
                         const TrainingSettings& settings) {
  const auto differences = theirs ? theirs->differences(settings, "the folder")
                                  : std::vector<std::string>{"they do not say which"};
  throw InputError(fmt::format(
      "others share '{}' just now with other settings ({}): give the same, wait for their end, or "
      "take another folder",
      folder.string(), fmt::join(differences, "; ")));
}

}  // namespace

fs::path claims_file(const fs::path& folder) { return folder / "claims"; }

io::FolderLock share_folder(const fs::path& folder, const TrainingSettings& settings,
                            const std::stop_token& stop) {
  make_folder(folder);
  const auto entrance = claim_entrance(folder, stop);
  const auto file = folder / "settings.json";
  const auto theirs = read_settings(file);
  if (theirs && *theirs == settings) return lock_shared(folder);
  {
    const auto alone = io::FolderLock::attempt(folder, folder_name);
    if (alone) {
      alone->remove_partial_files([](std::string_view) { return true; });  // of killed calls
      write_settings(file, settings);
    } else {
      (void)lock_shared(folder);  // of somebody who does not share this tells
      refuse(folder, theirs, settings);
    }
  }
  return lock_shared(folder);
}

}  // namespace l2c
