#include "process.h"

#include <sys/resource.h>

#include <ctime>
#include <fstream>
#include <string>
#include <string_view>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace l2c {

void restart_peak_memory() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
  std::ofstream("/proc/self/clear_refs") << "5\n";  // proc(5): the peak becomes what is there now
}

std::int64_t peak_memory_bytes() {
  constexpr std::string_view name = "VmHWM:";
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with(name)) continue;
    const auto digits = line.find_first_of("0123456789");
    if (digits == std::string::npos) break;
    return 1024 * std::stoll(line.substr(digits));
  }
  rusage usage{};  // elsewhere than on Linux: of the whole life
  return getrusage(RUSAGE_SELF, &usage) == 0 ? 1024 * std::int64_t{usage.ru_maxrss} : 0;
}

double process_cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace l2c
