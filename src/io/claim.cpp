#include "l2c/io/claim.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "l2c/core/error.h"

namespace l2c::io {

Claim::Claim(int descriptor) : descriptor_(descriptor) {}

std::optional<Claim> Claim::attempt(const std::filesystem::path& file, std::int64_t number) {
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    throw InputError(fmt::format("cannot write to '{}': {}", file.string(),
                                 std::generic_category().message(errno)));
  }
  struct flock range {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = number;
  range.l_len = 1;
  // Of the open file and not of the process: closing another descriptor does not let go of it.
  if (::fcntl(descriptor, F_OFD_SETLK, &range) == 0) return Claim(descriptor);
  const int reason = errno;
  ::close(descriptor);
  if (reason == EAGAIN || reason == EACCES) return {};
  throw InputError(
      fmt::format("cannot lock '{}': {}", file.string(), std::generic_category().message(reason)));
}

Claim::~Claim() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Claim::Claim(Claim&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

}  // namespace l2c::io
