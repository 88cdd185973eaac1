#include "l2c/io/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <random>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>

#include "l2c/core/error.h"

namespace l2c::io {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kTextLimit = std::size_t{64} << 20;

// errno's text, by the thread-safe way.
std::string reason(int error) { return std::generic_category().message(error); }

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return value_; }

 private:
  int value_;
};

int open_retrying(const char* path, int flags, mode_t mode = 0) {
  int descriptor = -1;
  do {
    descriptor = ::open(path, flags | O_CLOEXEC, mode);
  } while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

[[noreturn]] void cannot_read(const fs::path& path, int error) {
  if (path.empty()) throw InputError("no file was named: the path is empty");
  const char* advice = error == ENOENT    ? "check the path"
                       : error == ENOTDIR ? "a part of the path is a file, not a folder"
                       : error == EACCES  ? "check the file's and its folders' permissions"
                                          : "check the path and the disk";
  throw InputError(fmt::format("cannot read '{}': {}; {}", path.string(), reason(error), advice));
}

struct stat read_status(const fs::path& path, int descriptor) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) cannot_read(path, errno);
  if (S_ISDIR(status.st_mode)) {
    throw InputError(fmt::format("cannot read '{}': it is a directory; name a file in it instead",
                                 path.string()));
  }
  return status;
}

// Without O_NONBLOCK a named pipe would wait for a writer instead of being refused.
int open_at_once(const fs::path& path) {
  const int descriptor = open_retrying(path.c_str(), O_RDONLY | O_NONBLOCK);
  if (descriptor < 0) cannot_read(path, errno);
  return descriptor;
}

struct stat read_regular_status(const fs::path& path, int descriptor) {
  const struct stat status = read_status(path, descriptor);
  if (S_ISREG(status.st_mode)) return status;
  throw InputError(
      fmt::format("cannot read '{}': it is a device or a pipe; copy its content to a file first",
                  path.string()));
}

// All that comes from a descriptor.
std::string read_to_end(const fs::path& path, int descriptor, std::size_t most_bytes) {
  const std::size_t limit = std::min(most_bytes, kTextLimit);
  std::string text;
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t count = ::read(descriptor, buffer.data(), buffer.size());
    if (count == 0) return text;
    if (count < 0) {
      if (errno == EINTR) continue;
      cannot_read(path, errno);
    }
    text.append(buffer.data(), static_cast<std::size_t>(count));
    if (text.size() > limit) {
      throw InputError(
          fmt::format("cannot read '{}': it is larger than {} MB, so it is no text "
                      "file of ours; check the path",
                      path.string(), limit >> 20));
    }
  }
}

[[noreturn]] void cannot_create(const fs::path& target, int error) {
  const std::string folder = target.has_parent_path() ? target.parent_path().string() : ".";
  throw InputError(
      fmt::format("cannot write '{}': no file can be made in its folder '{}': {}; choose another "
                  "path or fix the permissions",
                  target.string(), folder, reason(error)));
}

[[noreturn]] void cannot_write(const fs::path& target, bool aside, int error) {
  const char* state = aside ? "nothing was left behind and an older file of this name is untouched"
                            : "a part of the output may have been written";
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
    const char* what = error == ENOSPC   ? "the disk is full"
                       : error == EDQUOT ? "the disk quota is used up"
                                         : "the file is larger than the file size limit";
    throw RunError(
        fmt::format("cannot write '{}': {} ({}); {}. Free some space or choose another "
                    "path, then run again",
                    target.string(), what, reason(error), state));
  }
  throw RunError(fmt::format("cannot write '{}': {}; {}. Choose another path or fix the cause",
                             target.string(), reason(error), state));
}

// /dev/stdout and its like are links to what the process holds open: renaming a new file over the
// name behind them would write past the redirection.
bool is_open_descriptor(const fs::path& path) {
  const std::string text = path.lexically_normal().string();
  return text.starts_with("/proc/") || text.starts_with("/dev/fd/") || text == "/dev/stdout" ||
         text == "/dev/stderr";
}

// How a target is written: straight through, or aside and renamed over `path` (the file behind
// symbolic links, which need not exist yet).
struct Route {
  fs::path path;
  bool straight = false;
  bool exists = false;
  mode_t mode = 0;
};

fs::path follow_links(const fs::path& target) {
  constexpr int kMostLinks = 40;
  fs::path path = target;
  for (int link = 0; link < kMostLinks; ++link) {
    std::error_code error;
    if (is_open_descriptor(path) || !fs::is_symlink(path, error) || error) return path;
    const fs::path next = fs::read_symlink(path, error);
    if (error) cannot_create(target, error.value());
    path = next.is_absolute() ? next : path.parent_path() / next;
  }
  cannot_create(target, ELOOP);
}

void check_folder(const fs::path& path) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0) {
    if (errno != ENOENT) cannot_create(path, errno);
    throw InputError(fmt::format(
        "cannot write '{}': the folder '{}' does not exist; create it or choose another path",
        path.string(), folder.string()));
  }
  if (!S_ISDIR(status.st_mode)) {
    throw InputError(fmt::format("cannot write '{}': '{}' is not a folder; choose another path",
                                 path.string(), folder.string()));
  }
  if (::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
    cannot_create(path, errno);
  }
}

// Decides the route and throws InputError where writing cannot work.
Route route_to(const fs::path& target) {
  if (target.empty()) throw InputError("cannot write: the output path is empty; name a file");
  Route route{.path = follow_links(target)};
  struct stat status {};
  route.exists = ::stat(target.c_str(), &status) == 0;
  if (route.exists && S_ISDIR(status.st_mode)) {
    throw InputError(fmt::format("cannot write '{}': it is a directory; name a file in it instead",
                                 target.string()));
  }
  if (!target.has_filename()) {
    throw InputError(
        fmt::format("cannot write '{}': it ends with a slash; name a file", target.string()));
  }
  if (route.exists && ::faccessat(AT_FDCWD, target.c_str(), W_OK, AT_EACCESS) != 0) {
    throw InputError(fmt::format("cannot write '{}': {}; make it writable or choose another path",
                                 target.string(), reason(errno)));
  }
  route.straight = route.exists && (!S_ISREG(status.st_mode) || is_open_descriptor(route.path));
  if (route.straight) {
    route.path = target;
    return route;
  }
  check_folder(route.path);
  route.mode = status.st_mode & 0777;
  return route;
}

std::string random_suffix() {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device device;
  std::uniform_int_distribution<std::size_t> pick(0, letters.size() - 1);
  std::string suffix(6, ' ');
  std::generate(suffix.begin(), suffix.end(), [&] { return letters[pick(device)]; });
  return suffix;
}

// Made with O_EXCL rather than mkstemp, so that the process's umask decides the mode, as for any
// other new file.
std::pair<int, fs::path> create_beside(const fs::path& target) {
  constexpr int kAttempts = 100;
  constexpr std::size_t kLongestName = 200;  // leaves room for the suffix in NAME_MAX
  const std::string name = target.filename().string().substr(0, kLongestName);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    fs::path partial = target.parent_path() / fmt::format("{}.{}.partial", name, random_suffix());
    const int descriptor = open_retrying(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (descriptor >= 0) return {descriptor, std::move(partial)};
    if (errno != EEXIST) cannot_create(target, errno);
  }
  cannot_create(target, EEXIST);
}

// The rename itself must survive a power cut too. Not every file system can do it: best effort.
void sync_folder(const fs::path& path) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const Descriptor descriptor(open_retrying(folder.c_str(), O_RDONLY | O_DIRECTORY));
  if (descriptor.get() >= 0) ::fsync(descriptor.get());
}

}  // namespace

MappedFile::MappedFile(fs::path path, std::span<const std::byte> bytes)
    : path_(std::move(path)), bytes_(bytes) {}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

std::shared_ptr<const MappedFile> MappedFile::open(const fs::path& path) {
  const Descriptor descriptor(open_at_once(path));
  const struct stat status = read_regular_status(path, descriptor.get());
  const auto size = static_cast<std::size_t>(status.st_size);
  std::span<const std::byte> bytes;
  if (size > 0) {
    void* start = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor.get(), 0);
    if (start == MAP_FAILED) cannot_read(path, errno);
    bytes = {static_cast<const std::byte*>(start), size};
  }
  return std::shared_ptr<const MappedFile>(new MappedFile(path, bytes));
}

void MappedFile::drop_pages(std::span<const std::byte> part) const noexcept {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto start = reinterpret_cast<std::uintptr_t>(bytes_.data());
  const auto part_start = reinterpret_cast<std::uintptr_t>(part.data());
  const std::uintptr_t begin = std::max(start, part_start);
  const std::uintptr_t end = std::min(start + bytes_.size(), part_start + part.size());
  const std::uintptr_t first = (begin + page - 1) / page * page;
  const std::uintptr_t last = end / page * page;
  if (first >= last) return;
  ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

AtomicFile::AtomicFile(const fs::path& target) {
  const Route route = route_to(target);
  target_ = route.path;
  if (route.straight) {
    descriptor_ = open_retrying(target_.c_str(), O_WRONLY | O_APPEND);
    if (descriptor_ < 0) cannot_create(target_, errno);
    return;
  }
  std::tie(descriptor_, partial_) = create_beside(target_);
  // A file of somebody else's may refuse; then the new one keeps the mode it was made with.
  if (route.exists) [[maybe_unused]]
    const int ignored = ::fchmod(descriptor_, route.mode);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  if (!partial_.empty()) ::unlink(partial_.c_str());
}

void AtomicFile::write(const void* data, std::size_t size) {
  if (descriptor_ < 0) {
    throw RunError(
        fmt::format("'{}' was already committed: write before commit()", target_.string()));
  }
  const auto* next = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::write(descriptor_, next, size);
    if (written < 0) {
      if (errno == EINTR) continue;
      cannot_write(target_, !partial_.empty(), errno);
    }
    next += written;
    size -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::commit() {
  if (descriptor_ < 0) return;
  const bool aside = !partial_.empty();
  // EINVAL, EROFS: a pipe, or a file system without fsync.
  if (aside && ::fsync(descriptor_) != 0 && errno != EINVAL && errno != EROFS) {
    cannot_write(target_, aside, errno);
  }
  const int closed = ::close(std::exchange(descriptor_, -1));
  int error = closed != 0 && errno != EINTR ? errno : 0;
  if (aside && error == 0 && ::rename(partial_.c_str(), target_.c_str()) != 0) error = errno;
  if (error != 0) {
    if (aside) ::unlink(partial_.c_str());
    cannot_write(target_, aside, error);
  }
  if (aside) sync_folder(target_);
}

void check_writable(const fs::path& target) { route_to(target); }

std::string read_text(const fs::path& path, std::size_t most_bytes) {
  const Descriptor descriptor(open_retrying(path.c_str(), O_RDONLY));
  if (descriptor.get() < 0) cannot_read(path, errno);
  read_status(path, descriptor.get());
  return read_to_end(path, descriptor.get(), most_bytes);
}

std::string read_text_file(const fs::path& path, std::size_t most_bytes) {
  const Descriptor descriptor(open_at_once(path));
  read_regular_status(path, descriptor.get());
  return read_to_end(path, descriptor.get(), most_bytes);
}

}  // namespace l2c::io
