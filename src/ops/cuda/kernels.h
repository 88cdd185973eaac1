// Starting the kernels. Read by nvcc, too, as C++17; no CUDA header needed.
#pragma once

#include "cuda/residual_pass.h"

namespace l2c::ops::cuda {

// Queues the pass on a cudaStream_t of the current device. Returns the cudaError_t of the launch,
// 0 when it went well.
int launch_residual_pass(const ResidualPass& pass, const Launch& launch, void* stream);

}  // namespace l2c::ops::cuda
