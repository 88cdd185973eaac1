// What the system says of this process.
#pragma once

#include <cstdint>
#include <optional>

namespace l2c::soak {

struct ProcessState {
  std::int64_t resident = 0;  // bytes in memory (VmRSS)
  std::int64_t peak = 0;      // the most so far, since restart_peak() (VmHWM)
  // Bytes that malloc has handed out and not got back, over all arenas (mallinfo2). None where
  // another allocator is in its place (AddressSanitizer).
  std::optional<std::int64_t> in_use;
  int threads = 0;
  int open_files = 0;
};

// Reads /proc/self; any thread may call it.
ProcessState process_state();

// VmRSS alone, for after each run.
std::int64_t resident_bytes();

// The peak becomes what is in memory now.
void restart_peak();

}  // namespace l2c::soak
