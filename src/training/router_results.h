// What a router in training is worth, and its files.
#pragma once

#include <filesystem>
#include <vector>

#include "l2c/cache/policies.h"
#include "l2c/cache/pricing.h"
#include "l2c/cache/router.h"
#include "l2c/core/torch.h"
#include "l2c/models/denoiser.h"
#include "l2c/training/curve.h"
#include "lambda_controller.h"

namespace l2c {

// logits [rows, units] fp32 on the CPU.
Router to_router(const at::Tensor& logits, RouterInfo info);

// Of its plan at the threshold.
PlanCost price_router(const Router& router, double threshold, const RunShape& shape,
                      const ForwardCost& cost);

// [rows, units] fp32.
at::Tensor logits_of(const Router& router);

// The same arithmetic in parts: price_of(...).speedup(MACs saved) is price_router's ideal_speedup.
RouterPrice price_of(int steps, int cache_steps, const ForwardCost& cost);

// The router, its curve and its picture for runs of this shape: router.safetensors, curve.csv and
// heat_map.png, each aside and renamed; returns their paths.
std::vector<std::filesystem::path> write_results(const std::filesystem::path& folder,
                                                 const LearnedRouter& learned,
                                                 const RunShape& shape, const Curve& curve);

}  // namespace l2c
