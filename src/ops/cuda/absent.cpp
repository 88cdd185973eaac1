// In the place of device.cpp where l2c is built without CUDA.
#include "cuda/device.h"
#include "l2c/core/error.h"

namespace l2c::ops::cuda {

namespace {

[[noreturn]] void fail() {
  throw Error("a CUDA kernel was asked for, but this build of l2c has none (L2C_CUDA)");
}

}  // namespace

void run(const std::vector<ResidualPass>& /*passes*/, at::Device /*device*/) { fail(); }
double measure(at::Device /*device*/, c10::function_ref<void()> /*work*/) { fail(); }
bool is_capturing() { return false; }

}  // namespace l2c::ops::cuda
