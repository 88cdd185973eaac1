#include "cuda/kernels.h"

#include <cuda_runtime.h>

#include "cuda/residual_phases.h"

namespace l2c::ops::cuda {

namespace {

constexpr int warp_size = 32;

// The sum over the block, the same bits in every thread. All threads must call it.
__device__ float block_sum(float x) {
  __shared__ float of_warp[warp_size];
  for (int distance = warp_size / 2; distance > 0; distance /= 2) {
    x += __shfl_xor_sync(0xffffffffU, x, distance);
  }
  __syncthreads();  // somebody may still read the sums of the call before
  if (threadIdx.x % warp_size == 0) of_warp[threadIdx.x / warp_size] = x;
  __syncthreads();
  float sum = 0;
  for (unsigned warp = 0; warp < blockDim.x / warp_size; ++warp) sum += of_warp[warp];
  return sum;
}

template <int elements>
__global__ void residual_pass(const __grid_constant__ ResidualPass pass) {
  extern __shared__ __align__(16) float memory[];  // the row
  const std::int64_t row = blockIdx.x;
  const int thread = static_cast<int>(threadIdx.x);
  const int threads = static_cast<int>(blockDim.x);
  const auto d = static_cast<float>(pass.d);
  const float sum = add_summands<elements>(pass, memory, row, thread, threads);
  if (pass.out == nullptr) return;  // the whole block alike
  const float mean = block_sum(sum) / d;
  const float variance = block_sum(squares<elements>(pass, memory, mean, thread, threads)) / d;
  const float scale = 1.0F / sqrtf(variance + pass.eps);
  write_normed<elements>(pass, memory, mean, scale, row, thread, threads);
}

}  // namespace

int launch_residual_pass(const ResidualPass& pass, const Launch& launch, void* stream) {
  const dim3 blocks(static_cast<unsigned>(pass.rows));
  const dim3 threads(static_cast<unsigned>(launch.threads));
  auto* const queue = static_cast<cudaStream_t>(stream);
  if (launch.in_fours) {
    residual_pass<4><<<blocks, threads, launch.shared_bytes, queue>>>(pass);
  } else {
    residual_pass<1><<<blocks, threads, launch.shared_bytes, queue>>>(pass);
  }
  return static_cast<int>(cudaGetLastError());
}

}  // namespace l2c::ops::cuda
