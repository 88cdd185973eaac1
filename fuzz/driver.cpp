// What libFuzzer calls (https://llvm.org/docs/LibFuzzer.html). Compiled once a target, whose
// function L2C_FUZZ_TARGET names.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "mutators.h"
#include "targets.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

namespace {

std::string by_the_library(std::string bytes, std::size_t most) {
  const std::size_t size = std::min(bytes.size(), most);
  bytes.resize(most);
  bytes.resize(LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(bytes.data()), size, most));
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  l2c::fuzz::L2C_FUZZ_TARGET({data, size});
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t most, unsigned seed) {
  l2c::fuzz::Random random(seed);
  const std::string changed =
      l2c::fuzz::mutated({reinterpret_cast<const char*>(data), size}, most, random, by_the_library);
  std::memcpy(data, changed.data(), changed.size());
  return changed.size();
}
