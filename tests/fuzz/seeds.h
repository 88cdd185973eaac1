// Sound files that the fuzzers start from, made by our own writers.
#pragma once

#include <string>
#include <vector>

namespace l2c::test {

struct Seed {
  std::string name;  // with its ending
  std::string bytes;
};

std::vector<Seed> seeds();

}  // namespace l2c::test
