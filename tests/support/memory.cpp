#include "support/memory.h"

#include <fstream>
#include <sstream>
#include <string>

namespace l2c::test {

namespace {

// The bytes of a line of /proc/self/status; 0 when there is none.
std::int64_t status_bytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with(field)) continue;
    std::int64_t kilobytes = 0;
    std::istringstream(line.substr(line.find(':') + 1)) >> kilobytes;
    return kilobytes * 1024;
  }
  return 0;
}

}  // namespace

std::int64_t resident_file_bytes() { return status_bytes("RssFile:"); }

std::int64_t peak_memory_bytes() { return status_bytes("VmHWM:"); }

void reset_peak_memory() { std::ofstream("/proc/self/clear_refs") << "5"; }

}  // namespace l2c::test
