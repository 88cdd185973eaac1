// What the operating system says of this process.
#pragma once

#include <cstdint>

namespace l2c {

// Gives free memory back to the system, and lets the peak begin anew from what is left. Where the
// system can do neither, the peak stays that of the process's whole life.
void restart_peak_memory();

// Bytes of memory at the peak: resident pages. 0: the system does not say.
std::int64_t peak_memory_bytes();

// Of all threads so far.
double process_cpu_seconds();

}  // namespace l2c
