#include "memory.h"

#include <cstdlib>
#include <limits>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace l2c::cli {

void keep_freed_memory() {
#if defined(__GLIBC__)
  constexpr int largest = std::numeric_limits<int>::max();
  if (std::getenv("MALLOC_MMAP_THRESHOLD_") == nullptr) {
    constexpr int old_limit = 32 << 20;  // what older glibc accepts at most
    if (mallopt(M_MMAP_THRESHOLD, largest) == 0) mallopt(M_MMAP_THRESHOLD, old_limit);
  }
  if (std::getenv("MALLOC_TRIM_THRESHOLD_") == nullptr) mallopt(M_TRIM_THRESHOLD, largest);
#endif
}

}  // namespace l2c::cli
