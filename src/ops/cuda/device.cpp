#include "cuda/device.h"

#include <ATen/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGraphsC10Utils.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>
#include <limits>

#include "cuda/kernels.h"
#include "cuda/passes.h"

namespace l2c::ops::cuda {

void run(const std::vector<ResidualPass>& passes, at::Device device) {
  const c10::cuda::CUDAGuard guard(device);
  const auto stream = c10::cuda::getCurrentCUDAStream(device.index());
  for (const ResidualPass& pass : passes) {
    C10_CUDA_CHECK(
        static_cast<cudaError_t>(launch_residual_pass(pass, launch_of(pass), stream.stream())));
  }
}

double measure(at::Device device, c10::function_ref<void()> work) {
  constexpr int tries = 5;
  const c10::cuda::CUDAGuard guard(device);
  const auto stream = c10::cuda::getCurrentCUDAStream(device.index());
  work();
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i < tries; ++i) {
    at::cuda::CUDAEvent start(cudaEventDefault);
    at::cuda::CUDAEvent end(cudaEventDefault);
    start.record(stream);
    work();
    end.record(stream);
    end.synchronize();
    least = std::min(least, static_cast<double>(start.elapsed_time(end)));
  }
  return least;
}

bool is_capturing() {
  return c10::cuda::currentStreamCaptureStatusMayInitCtx() != c10::cuda::CaptureStatus::None;
}

}  // namespace l2c::ops::cuda
