// A soak: many mixed runs over several threads, then what came of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "memory.h"
#include "run.h"

namespace l2c::soak {

struct Options {
  std::filesystem::path assets = "assets/fashion-mnist";
  std::vector<std::string> dtypes{"fp32", "bf16"};  // one pipeline each
  std::size_t runs = 1000;
  std::size_t threads = 8;
  std::size_t cases = 40;  // distinct requests
  // Threads within a run; 0: LibTorch's choice.
  int pool_threads = 0;
  std::int64_t memory_limit = std::int64_t{8} << 20;  // of each request, bytes
  std::uint64_t seed = 1;
  Planted planted{};
};

// A tenth of the runs. Its threads end with it, and the next tenth has new ones, so that what a
// thread leaves behind shows as well.
struct Tenth {
  double seconds = 0;
  std::vector<std::int64_t> resident;  // bytes, after each of its runs, while others go on
  ProcessState quiet{};                // when all its threads are gone
};

struct Findings {
  std::vector<Case> cases;
  std::vector<int> images;  // of each case
  ProcessState base{};      // models loaded, every case sampled once, no run under way
  std::vector<Tenth> tenths;
  std::int64_t peak = 0;                     // of the soak, bytes
  std::map<std::string, std::size_t> meant;  // runs by how they were to end
  std::map<std::string, std::size_t> ended;  // runs by how they ended
  std::size_t compared = 0;                  // finished runs, bit for bit
  std::size_t wrong = 0;                     // runs with a problem
  std::vector<std::string> problems;         // of the first of them
  double seconds = 0;
};

// Reports to standard error as it goes. Throws InputError (assets, options), RunError.
Findings soak(const Options& options);

}  // namespace l2c::soak
