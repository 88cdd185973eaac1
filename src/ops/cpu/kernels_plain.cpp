#include "kernels.h"
#include "table.h"
#include "vec_plain.h"

namespace l2c::ops::cpu {

const Kernels plain_kernels = table<Plain>("plain");

}  // namespace l2c::ops::cpu
