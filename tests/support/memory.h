// What the operating system says of this process's memory.
#pragma once

#include <cstdint>

namespace l2c::test {

// Bytes of mapped files that lie in memory (RssFile of /proc/self/status).
std::int64_t resident_file_bytes();

// The most bytes that lay in memory (VmHWM), since the process began or reset_peak_memory().
std::int64_t peak_memory_bytes();
void reset_peak_memory();

}  // namespace l2c::test
