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
// process, too. No constructor waits. One lock belongs to one thread at a time; different threads
// may each try for their own.
class FolderLock {
 public:
  // For this holder alone. Makes the folder where needed. `folder_name` and `holder` are for
  // messages: "training folder", "another training". Throws InputError: somebody else holds the
  // lock, or the folder cannot be made, written to or locked.
  FolderLock(const std::filesystem::path& folder, const std::string& folder_name,
             const std::string& holder);
  // Held by any number at once, but not beside one of the kind above: `holder` says what that one
  // would be. Throws as the constructor does.
  static FolderLock shared(const std::filesystem::path& folder, const std::string& folder_name,
                           const std::string& holder);
  // The same as the first, but nothing where somebody else holds the lock, of either kind. Throws
  // InputError for a folder that cannot be made, written to or locked.
  static std::optional<FolderLock> attempt(const std::filesystem::path& folder,
                                           const std::string& folder_name);
  ~FolderLock();
  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&&) = delete;

  // What killed processes left while AtomicFile wrote files: those for which `ours` is true of the
  // name the finished file would have had. Only where all who write such files hold the lock, and
  // of a shared lock only for files that the caller alone may write (see Claim). What cannot be
  // removed is left.
  void remove_partial_files(const std::function<bool(std::string_view name)>& ours) const;

 private:
  FolderLock(std::filesystem::path folder, int descriptor);
  std::filesystem::path folder_;
  int descriptor_;
};

}  // namespace l2c::io
