// Which of several processes does which part of a work. No LibTorch header behind it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace l2c::io {

// Holds one number of a file that stands for the work (a lock of one byte of it) while it lives.
// The kernel lets go of it however the process ends; the file stays. Two claims of one number
// exclude each other within a process, too.
class Claim {
 public:
  // Nothing where somebody else holds the number. Makes the file where needed. Throws InputError
  // when it cannot be made or locked.
  static std::optional<Claim> attempt(const std::filesystem::path& file, std::int64_t number);
  ~Claim();
  Claim(Claim&& other) noexcept;
  Claim& operator=(Claim&&) = delete;

 private:
  explicit Claim(int descriptor);
  int descriptor_;
};

}  // namespace l2c::io
