// The one place that says which LibTorch headers l2c uses. Only files that work with tensors
// include it; the plain headers (l2c/l2c.h and what it includes) never do.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/FunctionRef.h>
#include <c10/util/SmallVector.h>
