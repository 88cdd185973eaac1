#include "kernels.h"
#include "table.h"
#include "vec_avx2.h"

namespace l2c::ops::cpu {

const Kernels avx2_kernels = table<Avx2>("avx2");

}  // namespace l2c::ops::cpu
