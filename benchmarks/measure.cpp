#include "measure.h"

#include <chrono>
#include <ctime>

namespace l2c::benchmarks {

namespace {

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Measured measure(double seconds, std::size_t fewest, const std::function<void()>& call) {
  Measured measured;
  const double end = wall_seconds() + seconds;
  while (wall_seconds() < end || measured.wall.size() < fewest) {
    const double cpu = cpu_seconds();
    const double wall = wall_seconds();
    call();
    measured.cpu.push_back(cpu_seconds() - cpu);
    measured.wall.push_back(wall_seconds() - wall);
  }
  return measured;
}

}  // namespace l2c::benchmarks
