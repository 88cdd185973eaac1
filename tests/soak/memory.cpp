#include "memory.h"

#include <malloc.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace l2c::soak {

namespace {

std::int64_t field(std::string_view status, std::string_view name) {
  const auto place = status.find(name);
  if (place == std::string_view::npos) return 0;
  const auto digits = status.find_first_of("0123456789", place + name.size());
  std::int64_t value = 0;
  if (digits != std::string_view::npos) {
    std::from_chars(status.data() + digits, status.data() + status.size(), value);
  }
  return value;
}

std::string read_status() {
  std::ifstream file("/proc/self/status");
  return {std::istreambuf_iterator<char>(file), {}};
}

std::optional<std::int64_t> allocated_bytes() {
  const struct mallinfo2 info = mallinfo2();
  const auto bytes = static_cast<std::int64_t>(info.uordblks + info.hblkhd);
  return bytes > 0 ? std::optional(bytes) : std::nullopt;
}

}  // namespace

ProcessState process_state() {
  const std::string status = read_status();
  ProcessState state;
  state.resident = 1024 * field(status, "VmRSS:");
  state.peak = 1024 * field(status, "VmHWM:");
  state.in_use = allocated_bytes();
  state.threads = static_cast<int>(field(status, "Threads:"));
  const std::filesystem::directory_iterator files("/proc/self/fd");
  state.open_files = static_cast<int>(std::distance(begin(files), end(files))) - 1;  // its own
  return state;
}

std::int64_t resident_bytes() { return 1024 * field(read_status(), "VmRSS:"); }

void restart_peak() { std::ofstream("/proc/self/clear_refs") << "5\n"; }

}  // namespace l2c::soak
