// What the operating system says of this process's memory.
#pragma once

#include <cstdint>

namespace l2c::test {

// Bytes of mapped files that lie in memory (RssFile of /proc/self/status).
std::int64_t resident_file_bytes();

}  // namespace l2c::test
