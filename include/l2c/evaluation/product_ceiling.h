// How fast a machine's matrix products are when they run alone: what a model's speed is measured
// against. No LibTorch header behind it.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "l2c/core/cost.h"

namespace l2c {

// [rows, in] -> [rows, out], at its best.
struct MeasuredProduct {
  std::string name{};  // the layer's, or "1024 x 1024 x 1024"
  std::int64_t rows = 0;
  std::int64_t in = 0, out = 0;
  double gflops = 0;  // 1e9 operations a second; a multiply-add is two
};

struct ProductCeiling {
  std::vector<MeasuredProduct> layers;
  // Of a model that is nothing but these layers, each as fast as alone: their operations by the sum
  // of their times.
  double gflops = 0;
  MeasuredProduct square;  // the fastest product of square matrices
};

struct CeilingOptions {
  std::int64_t samples = 1;    // rows of a batch, guidance counted
  std::string dtype = "fp32";  // or "bf16"
  std::string device = "cpu";  // with set_threads() threads
  double seconds_each = 0.25;  // for each product; at least three tries are made
};

// Measures ops::linear without bias on prepared layers of the model's shapes and on square ones:
// the least time of several tries each. Takes memory for the largest layer and its rows. Throws
// InputError (no layers, samples < 1, dtype, device), Cancelled (between two tries), RunError (no
// memory).
ProductCeiling measure_product_ceiling(const ForwardCost& cost, const CeilingOptions& options,
                                       std::stop_token stop = {});

// Of two measurements of the same products the faster one of each. Throws InputError when they are
// of different products.
ProductCeiling faster(const ProductCeiling& a, const ProductCeiling& b);

// The layers' speed together. Throws InputError without layers.
double combined_gflops(const std::vector<MeasuredProduct>& layers);

}  // namespace l2c
