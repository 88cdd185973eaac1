#include "support/memory.h"

#include <fstream>
#include <sstream>
#include <string>

namespace l2c::test {

std::int64_t resident_file_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("RssFile:")) continue;
    std::int64_t kilobytes = 0;
    std::istringstream(line.substr(line.find(':') + 1)) >> kilobytes;
    return kilobytes * 1024;
  }
  return 0;
}

}  // namespace l2c::test
