#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cstdlib>
#include <string_view>

#include "cpu/kernels.h"
#include "l2c/core/error.h"
#include "l2c/ops/cpu_isa.h"

namespace l2c::ops {

namespace {

constexpr std::array<std::string_view, 5> names{"plain", "avx2", "avx512", "avx512_bf16", "amx"};

// Whether the processor multiplies tiles of bf16, and the system lets this process use their
// registers, which must be asked for.
bool matrix_unit() {
#if defined(__x86_64__) && defined(__linux__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned amx_bf16 = 1U << 22, amx_tile = 1U << 24;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  if ((d & amx_bf16) == 0 || (d & amx_tile) == 0) return false;
  constexpr int request_permission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int tile_data = 18;
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return false;
#endif
}

CpuIsa best() {
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return CpuIsa::plain;
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl")) {
    return CpuIsa::avx2;
  }
  if (!__builtin_cpu_supports("avx512bf16")) return CpuIsa::avx512;
  return matrix_unit() ? CpuIsa::amx : CpuIsa::avx512_bf16;
#else
  return CpuIsa::plain;
#endif
}

CpuIsa chosen() {
  const char* const asked = std::getenv("L2C_CPU_ISA");
  const CpuIsa most = best();
  if (asked == nullptr || *asked == '\0') return most;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] != asked) continue;
    if (i <= static_cast<std::size_t>(most)) return static_cast<CpuIsa>(i);
    throw InputError(fmt::format("L2C_CPU_ISA={}: this processor has no more than {}; unset it",
                                 asked, name(most)));
  }
  throw InputError(
      fmt::format("L2C_CPU_ISA={}: give one of {}, or unset it", asked, fmt::join(names, ", ")));
}

}  // namespace

CpuIsa cpu_isa() {
  static const CpuIsa isa = chosen();
  return isa;
}

std::string name(CpuIsa isa) { return std::string(names.at(static_cast<std::size_t>(isa))); }

namespace cpu {

const Kernels& kernels() {
#if defined(__x86_64__)
  switch (cpu_isa()) {
    case CpuIsa::amx:
      return amx_kernels;
    case CpuIsa::avx512_bf16:
      return avx512_bf16_kernels;
    case CpuIsa::avx512:
      return avx512_kernels;
    case CpuIsa::avx2:
      return avx2_kernels;
    case CpuIsa::plain:
      break;
  }
#endif
  return plain_kernels;
}

}  // namespace cpu

}  // namespace l2c::ops
