// Which of several processes does which part of a work. No LibTorch header behind it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace l2c::io {

// Holds one number of a file that stands for the work while it lives: an "open file description"
// lock (Linux, fcntl F_OFD_SETLK) of the byte at that offset; the file stays empty, and stays
// there. The kernel lets go of it however the process ends. Two claims of one number exclude each
// other within a process, too. Across machines it works where the file system passes such locks on
// (NFS from version 4 on does). One claim belongs to one thread at a time; attempt() may be called
// from any.
class Claim {
 public:
  // Never waits. `number` >= 0. Nothing where somebody else holds the number. Makes the file where
  // needed, in a folder that is there. Throws InputError that names the file when it cannot be made
  // or locked (a number below 0 among the reasons).
  static std::optional<Claim> attempt(const std::filesystem::path& file, std::int64_t number);
  ~Claim();
  Claim(Claim&& other) noexcept;
  Claim& operator=(Claim&&) = delete;

 private:
  explicit Claim(int descriptor);
  int descriptor_;
};

}  // namespace l2c::io
