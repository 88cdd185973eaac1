#include "l2c/core/build_info.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <fmt/format.h>
#include <torch/version.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <fstream>
#include <string>
#include <vector>

#include "l2c/core/error.h"

namespace l2c {

namespace {

std::string compiler_name() {
#if defined(__clang__)
  return fmt::format("Clang {}", __clang_version__);
#else
  return fmt::format("GCC {}", __VERSION__);
#endif
}

#if defined(__x86_64__)
// CPUID rather than __builtin_cpu_supports: GCC 12 does not know the AMX names there.
struct Leaf {
  unsigned a = 0, b = 0, c = 0, d = 0;
};

Leaf cpuid(unsigned leaf, unsigned part) {
  Leaf result;
  __get_cpuid_count(leaf, part, &result.a, &result.b, &result.c, &result.d);
  return result;
}

bool bit(unsigned word, int position) { return ((word >> position) & 1U) != 0; }

// What the operating system saves at a task switch: without that, the instructions trap.
unsigned saved_state() {
  if (!bit(cpuid(1, 0).c, 27)) return 0;  // OSXSAVE
  unsigned low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

std::vector<std::string> find_cpu_features() {
  constexpr unsigned kYmm = 0x6, kZmm = 0xE6, kTiles = 0x60000;
  const unsigned saved = saved_state();
  const bool ymm = (saved & kYmm) == kYmm;
  const bool zmm = (saved & kZmm) == kZmm;
  const bool tiles = (saved & kTiles) == kTiles;
  const Leaf base = cpuid(1, 0), extended = cpuid(7, 0), more = cpuid(7, 1);
  std::vector<std::string> found;
  const auto add = [&found](const char* name, bool there) {
    if (there) found.emplace_back(name);
  };
  add("fma", ymm && bit(base.c, 12));
  add("avx2", ymm && bit(extended.b, 5));
  add("avx512f", zmm && bit(extended.b, 16));
  add("avx512_vnni", zmm && bit(extended.c, 11));
  add("avx512_bf16", zmm && bit(more.a, 5));
  add("avx512_fp16", zmm && bit(extended.d, 23));
  add("amx_bf16", tiles && bit(extended.d, 22));
  add("amx_int8", tiles && bit(extended.d, 25));
  return found;
}
#else
std::vector<std::string> find_cpu_features() { return {}; }
#endif

// x86 says "model name", other architectures one of the rest.
std::string find_cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(':');
    if (colon == std::string::npos || colon + 2 >= line.size()) continue;
    const auto key = line.substr(0, line.find_last_not_of(" \t", colon - 1) + 1);
    if (key == "model name" || key == "cpu model" || key == "Model" || key == "cpu") {
      return line.substr(colon + 2);
    }
  }
  return {};
}

// The headers of a CPU-only build have no way to ask for a GPU's product name.
std::vector<std::string> find_gpus() {
  std::vector<std::string> gpus;
  if (!at::globalContext().hasCUDA()) return gpus;
  const auto count = at::getNumGPUs();
  for (std::size_t i = 0; i < count; ++i) gpus.push_back(fmt::format("cuda:{}", i));
  return gpus;
}

}  // namespace

std::string version() { return L2C_VERSION; }

BuildInfo build_info() {
  return {.version = version(),
          .compiler = compiler_name(),
          .libtorch = TORCH_VERSION,
          .cpu_model = find_cpu_model(),
          .cpu_capability = at::get_cpu_capability(),
          .cpu_features = find_cpu_features(),
          .threads = at::get_num_threads(),
          .cuda_build = at::globalContext().hasCUDART(),
          .gpus = find_gpus()};
}

void set_threads(int n) {
  if (n < 1 || n > most_threads) {
    throw InputError(fmt::format("{} threads: use 1 to {}", n, most_threads));
  }
  at::set_num_threads(n);
}

}  // namespace l2c
