#include "l2c/io/folder_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "l2c/core/error.h"

namespace l2c::io {

namespace fs = std::filesystem;

namespace {

// The locked file's descriptor; -1: somebody else holds the lock.
int open_locked(const fs::path& folder, const std::string& folder_name, int mode = LOCK_EX) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    throw InputError(
        fmt::format("cannot make the {} '{}': {}", folder_name, folder.string(), error.message()));
  }
  const fs::path file = folder / "lock";
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    throw InputError(fmt::format("cannot write to the {} '{}': {}", folder_name, folder.string(),
                                 std::generic_category().message(errno)));
  }
  if (::flock(descriptor, mode | LOCK_NB) == 0) return descriptor;
  const int reason = errno;
  ::close(descriptor);
  if (reason == EWOULDBLOCK) return -1;
  throw InputError(fmt::format("cannot lock the {} '{}': {}", folder_name, folder.string(),
                               std::generic_category().message(reason)));
}

[[noreturn]] void refuse(const fs::path& folder, const std::string& holder) {
  throw InputError(
      fmt::format("{} is running in '{}': wait for its end, stop it, or name another folder",
                  holder, folder.string()));
}

// NAME of NAME.abc123.partial, which AtomicFile was writing; empty: it is no such file.
std::string_view finished_name(std::string_view partial) {
  constexpr std::string_view end = ".partial";
  constexpr std::size_t added = std::string_view(".abc123").size() + end.size();
  if (!partial.ends_with(end) || partial.size() <= added) return {};
  const auto name = partial.substr(0, partial.size() - added);
  return partial[name.size()] == '.' ? name : std::string_view{};
}

}  // namespace

FolderLock::FolderLock(fs::path folder, int descriptor)
    : folder_(std::move(folder)), descriptor_(descriptor) {}

FolderLock::FolderLock(const fs::path& folder, const std::string& folder_name,
                       const std::string& holder)
    : FolderLock(folder, open_locked(folder, folder_name)) {
  if (descriptor_ < 0) refuse(folder, holder);
}

FolderLock FolderLock::shared(const fs::path& folder, const std::string& folder_name,
                              const std::string& holder) {
  FolderLock lock(folder, open_locked(folder, folder_name, LOCK_SH));
  if (lock.descriptor_ < 0) refuse(folder, holder);
  return lock;
}

std::optional<FolderLock> FolderLock::attempt(const fs::path& folder,
                                              const std::string& folder_name) {
  const int descriptor = open_locked(folder, folder_name);
  if (descriptor < 0) return {};
  return FolderLock(folder, descriptor);
}

FolderLock::FolderLock(FolderLock&& other) noexcept
    : folder_(std::move(other.folder_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

FolderLock::~FolderLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void FolderLock::remove_partial_files(
    const std::function<bool(std::string_view name)>& ours) const {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const std::string partial = entry.path().filename().string();
    const auto name = finished_name(partial);
    if (!name.empty() && ours(name)) fs::remove(entry.path(), error);
  }
}

}  // namespace l2c::io
