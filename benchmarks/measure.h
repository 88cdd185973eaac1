// Time of calls, for the programs of this folder.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

namespace l2c::benchmarks {

struct Measured {
  std::vector<double> cpu, wall;  // seconds, one a call; cpu: of all the process's threads
};

// Calls again and again for so many seconds, and no fewer than `fewest` times.
Measured measure(double seconds, std::size_t fewest, const std::function<void()>& call);

}  // namespace l2c::benchmarks
