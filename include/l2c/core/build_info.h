// What this build and this machine can do. No LibTorch header behind it.
#pragma once

#include <string>
#include <vector>

namespace l2c {

struct BuildInfo {
  std::string version;  // of l2c
  std::string compiler;
  std::string libtorch;        // version
  std::string cpu_model;       // the processor's own name; empty: the system does not say
  std::string cpu_capability;  // the instruction set LibTorch chose: "AVX512", ...
  std::vector<std::string>
      cpu_features;         // those that matter here: "avx2", "avx512f", "avx512_bf16", "amx_bf16"
  int threads = 0;          // that LibTorch uses within an operation
  bool cuda_build = false;  // linked against LibTorch's CUDA side
  std::vector<std::string> gpus;  // usable ones, as --device takes them: "cuda:0", ...
};

// Asks the driver for GPUs in a build with CUDA.
BuildInfo build_info();

// The version of l2c alone; asks nothing of the machine.
std::string version();

inline constexpr int most_threads = 1024;

// Threads that compute at once within an operation, l2c's own and LibTorch's, for the calling
// thread and for all that have not computed with LibTorch yet: those that have keep their number,
// so call it before they start. Throws InputError for n < 1 or n > most_threads: they would all be
// started.
void set_threads(int n);

}  // namespace l2c
