// Inputs of the residual stream's kernels, and what they must make of them.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "l2c/ops/residual_stream.h"

namespace l2c::test {

struct StreamCase {
  std::string name;
  std::int64_t rows, tokens, width;
  int branches = 3;
  bool affine = false;
  bool modulated = true;
  std::int64_t offset = 0;  // elements that the values lie behind an aligned address
};

// Otherwise a test's name would hold the bytes of pointers, other ones in every run.
inline void PrintTo(const StreamCase& of, std::ostream* out) { *out << of.name; }

inline std::vector<StreamCase> stream_cases() {
  return {{.name = "smallest", .rows = 1, .tokens = 1, .width = 2},
          {.name = "demo", .rows = 2, .tokens = 49, .width = 192},
          {.name = "odd_width", .rows = 17, .tokens = 3, .width = 33},
          {.name = "fours_but_few", .rows = 3, .tokens = 5, .width = 72, .affine = true},
          {.name = "xl", .rows = 1, .tokens = 64, .width = 1152},
          {.name = "odd_address", .rows = 2, .tokens = 3, .width = 64, .offset = 1},
          {.name = "no_modulation",
           .rows = 2,
           .tokens = 4,
           .width = 96,
           .affine = true,
           .modulated = false},
          {.name = "only_a_norm", .rows = 2, .tokens = 4, .width = 96, .branches = 0},
          {.name = "one_pass_full", .rows = 1, .tokens = 2, .width = 40, .branches = 64},
          {.name = "two_passes", .rows = 2, .tokens = 2, .width = 40, .branches = 65},
          {.name = "widest", .rows = 1, .tokens = 2, .width = 8192},
          {.name = "wide_and_odd", .rows = 1, .tokens = 2, .width = 8191}};
}

// Made on the CPU from a fixed seed, then brought to the device. Branches alternate between fp32
// and bf16, gated and not, weight 1 and others.
struct StreamInputs {
  StreamInputs(const StreamCase& of, at::Device device);
  at::Tensor tokens;
  std::vector<std::pair<BranchValue, at::Tensor>> pending;
  ops::Norm norm;
  ops::Modulation modulation;
  // In fp64 on the CPU.
  at::Tensor sum;
  at::Tensor normed;
};

}  // namespace l2c::test
