// Which of the processor's instruction sets the CPU kernels use.
#pragma once

#include <string>

namespace l2c::ops {

// In rising order. avx2 includes FMA; avx512 is F, BW, DQ and VL; amx is the matrix unit for bf16.
enum class CpuIsa { plain, avx2, avx512, avx512_bf16, amx };

// The same for the whole process, decided at the first call: the best that this processor has, or
// what the environment variable L2C_CPU_ISA names ("plain", "avx2", "avx512", "avx512_bf16",
// "amx"). Throws InputError when that is no such name or more than the processor has. Any thread
// may call it.
CpuIsa cpu_isa();

// "plain", "avx2", ...
std::string name(CpuIsa isa);

}  // namespace l2c::ops
