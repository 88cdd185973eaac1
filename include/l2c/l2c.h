// The public API of l2c in plain C++: no LibTorch, fmt or spdlog header behind it. For tensors:
// <l2c/torch/l2c.h>.
#pragma once

#include "l2c/cache/plan.h"
#include "l2c/cache/policies.h"
#include "l2c/cache/policy.h"
#include "l2c/cache/pricing.h"
#include "l2c/cache/router.h"
#include "l2c/core/branch.h"
#include "l2c/core/build_info.h"
#include "l2c/core/cost.h"
#include "l2c/core/error.h"
#include "l2c/core/log.h"
#include "l2c/io/file.h"
#include "l2c/io/png.h"
#include "l2c/metrics/psnr.h"
#include "l2c/models/dit_config.h"
#include "l2c/sampling/contact_sheet.h"
#include "l2c/sampling/latents.h"
#include "l2c/sampling/pipeline.h"
#include "l2c/sampling/planning.h"
#include "l2c/sampling/request.h"
