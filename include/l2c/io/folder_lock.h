// One owner of a folder at a time, or several who agreed to share it. No LibTorch header behind it.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace l2c::io {

// Holds the lock of a folder (flock on its file "lock") while it lives. The kernel lets go of it
// however the process ends; the file stays. Two locks of one folder exclude each other within a
// process, too.
class FolderLock {
 public:
  // Makes the folder where needed. `folder_name` and `holder` are for messages: "training folder",
  // "another training". Throws InputError: somebody else holds the lock, or the folder cannot be
  // made or written to.
  FolderLock(const std::filesystem::path& folder, const std::string& folder_name,
             const std::string& holder);
  // Held by any number at once, but not beside one of the kind above.
  static FolderLock shared(const std::filesystem::path& folder, const std::string& folder_name,
                           const std::string& holder);
  // The same as the first, but nothing where somebody else holds the lock.
  static std::optional<FolderLock> attempt(const std::filesystem::path& folder,
                                           const std::string& folder_name);
  ~FolderLock();
  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&&) = delete;

  // What killed processes left while AtomicFile wrote files: those for which `ours` is true of the
  // name the finished file would have had. Only where all who write such files hold the lock.
  void remove_partial_files(const std::function<bool(std::string_view name)>& ours) const;

 private:
  FolderLock(std::filesystem::path folder, int descriptor);
  std::filesystem::path folder_;
  int descriptor_;
};

}  // namespace l2c::io
