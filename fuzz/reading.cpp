#include "reading.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "l2c/core/error.h"

namespace l2c::fuzz {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// Nothing but the readers themselves stands between two runs: no folder is searched, no disk
// written.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(::memfd_create("l2c-fuzz", 0)) {
    if (descriptor_ < 0) fail("memfd_create");
    path_ = fmt::format("/proc/{}/fd/{}", ::getpid(), descriptor_);
  }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  void fill(Bytes bytes) {
    if (::ftruncate(descriptor_, 0) != 0) fail("ftruncate");
    const auto written = ::pwrite(descriptor_, bytes.data(), bytes.size(), 0);
    if (written != static_cast<ssize_t>(bytes.size())) fail("pwrite");
  }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  int descriptor_;
  fs::path path_;
};

MemoryFile& the_file() {
  static MemoryFile file;
  return file;
}

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "l2c-fuzz-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) fail("mkdtemp");
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace

const fs::path& file_of(Bytes bytes) {
  the_file().fill(bytes);
  return the_file().path();
}

fs::path also_called(std::string_view name) {
  static const Folder folder;
  const fs::path path = folder.path() / name;
  if (!fs::is_symlink(path)) {
    fs::create_directories(path.parent_path());
    fs::create_symlink(the_file().path(), path);
  }
  return path;
}

namespace {

// Of ASCII: other bytes are parts of letters, or nothing.
bool is_control(char letter) { return (letter >= 0 && letter < ' ') || letter == 127; }

}  // namespace

bool accepted(std::string_view file, const std::function<void()>& read) {
  constexpr std::size_t longest_message = 2000;
  try {
    read();
    return true;
  } catch (const InputError& error) {
    const std::string_view message = error.what();
    require(message.size() < longest_message, "an error's message is too long to be read");
    require(message.find(file) != message.npos, "an error's message does not name the file");
    require(std::ranges::none_of(message, is_control), "an error's message would steer a terminal");
    return false;
  }
}

void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

void touch(const at::Tensor& tensor) {
  constexpr std::int64_t small = 1 << 16;
  static volatile unsigned seen = 0;
  const auto see = [](const at::Tensor& plain) {
    const auto* bytes = static_cast<const unsigned char*>(plain.const_data_ptr());
    unsigned sum = 0;
    for (std::size_t i = 0; i < plain.nbytes(); ++i) sum += bytes[i];
    seen = seen + sum;
  };
  if (tensor.numel() <= small) {
    see(tensor.contiguous());
    return;
  }
  at::Tensor first = tensor, last = tensor;
  while (first.dim() > 0) {
    first = first.select(0, 0);
    last = last.select(0, last.size(0) - 1);
  }
  see(first);
  see(last);
}

}  // namespace l2c::fuzz
