// In the place of cuda_graphs.cpp where l2c is built without CUDA.
#include "l2c/sampling/graphs.h"

namespace l2c {

GraphRecorderFactory cuda_graphs(at::Device /*device*/) { return {}; }

}  // namespace l2c
