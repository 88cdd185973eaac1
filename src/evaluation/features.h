// Features of many images.
#pragma once

#include <cstdint>
#include <stop_token>
#include <vector>

#include "l2c/core/torch.h"
#include "l2c/evaluation/feature_network.h"
#include "l2c/evaluation/reference.h"
#include "l2c/metrics/distribution.h"

namespace l2c {

// The network's answer without autograd, contiguous on the CPU. Throws InputError that says what is
// wrong with it: other numbers of rows than pixels, dtypes other than fp32, values that are not
// finite, a number of classes other than `classes` where the network knows labels.
Features extract_features(const FeatureNetwork& network, const at::Tensor& pixels, int classes);

// Throws InputError unless the statistics were measured with this network.
void check_network(const FeatureNetwork& network, const ReferenceStatistics& reference);

// How many rows have their largest probability at their label.
std::int64_t recognised(const at::Tensor& probabilities, const at::Tensor& labels);

// fp32 [N, D], contiguous, as the metrics take it; reads the tensor's memory.
FeatureRows feature_rows(const at::Tensor& features);

// int64 [count]: `count` of 0 ... size - 1, evenly spread: data sorted by class is drawn on evenly,
// too.
at::Tensor spread_rows(std::int64_t size, std::int64_t count);

// Throws Cancelled, which says what was being done.
void check_stop(const std::stop_token& stop, const char* doing);

}  // namespace l2c
