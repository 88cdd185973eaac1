#include "allowance.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "l2c/core/error.h"

namespace l2c::io {

namespace {

constexpr std::uint64_t kFactor = 3;
constexpr std::uint64_t kBase = std::uint64_t{48} << 20;

const char* explain(Allowance::Use use) {
  switch (use) {
    case Allowance::Use::unpacked:
      return "its compressed entries unpack to too much: unpack the archive and pack it again "
             "without compression (zip -0)";
    case Allowance::Use::expanded:
      return "it holds expanded views of too many elements: save them again after .contiguous()";
    case Allowance::Use::objects:
      break;
  }
  return "it holds too many objects for a file of weights: save the state_dict alone";
}

}  // namespace

Allowance::Allowance(std::string file, std::uint64_t file_size)
    : file_(std::move(file)), file_size_(file_size) {
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  left_ = file_size > (most - kBase) / kFactor ? most : kBase + kFactor * file_size;
}

void Allowance::take(std::uint64_t bytes, Use use) {
  if (bytes > left_) {
    throw InputError(
        fmt::format("'{}': reading its {} bytes would take more memory than three times that and "
                    "48 MB: {}",
                    file_, file_size_, explain(use)));
  }
  left_ -= bytes;
}

}  // namespace l2c::io
