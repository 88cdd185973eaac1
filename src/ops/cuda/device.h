// What the CUDA operations ask of a device. A build without CUDA has them, too: they throw Error,
// and nobody calls them, because no tensor is on a GPU.
#pragma once

#include <vector>

#include "cuda/residual_pass.h"
#include "l2c/core/torch.h"

namespace l2c::ops::cuda {

// Queues the passes on the device's current stream, one after the other.
void run(const std::vector<ResidualPass>& passes, at::Device device);

// Milliseconds that the device needs for the work, on its current stream: the least of a few tries
// after one that does not count. Waits for the device. Throws what the work throws.
double measure(at::Device device, c10::function_ref<void()> work);

// Whether the current stream is being captured into a graph: nothing may be measured then.
bool is_capturing();

}  // namespace l2c::ops::cuda
