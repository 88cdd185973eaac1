// Forecasts whose weights are fitted to the model: what no fixed formula knows is how each branch
// really moves.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "l2c/cache/policy.h"
#include "l2c/cache/recall.h"

namespace l2c {

// What the products were measured with; empty texts: unknown.
struct BranchProductsInfo {
  std::string model_fingerprint;
  std::string spacing;
  std::string sampler;
};

// For each unit, the inner products of its outputs (before the adaLN gate) in all pairs of a run's
// evaluations, summed over the elements of many samples: all that least squares needs to know, for
// any set of stored values and any evaluation. add() is thread-safe against itself.
class BranchProducts {
 public:
  // All zero. Throws InputError unless both are >= 1.
  BranchProducts(int evaluations, int units, BranchProductsInfo info = {});
  // Throws InputError (no such file, damaged).
  static BranchProducts load(const std::filesystem::path& file);
  // A safetensors file with "products" [units, evaluations, evaluations] fp64. Throws RunError.
  void save(const std::filesystem::path& file) const;

  [[nodiscard]] int evaluations() const { return evaluations_; }
  [[nodiscard]] int units() const { return units_; }
  [[nodiscard]] const BranchProductsInfo& info() const { return info_; }
  [[nodiscard]] std::string fingerprint() const;  // 32 hex digits of the products
  [[nodiscard]] double product(int unit, int a, int b) const;
  // products [evaluations * evaluations], row by row.
  void add(int unit, const std::vector<double>& products);

  // The weights with which the outputs of the evaluations `known` come closest, in the mean square,
  // to that of `wanted`; one each. A little ridge keeps outputs that are nearly alike from weights
  // that cancel. All 0 where nothing was measured.
  [[nodiscard]] std::vector<double> fit(int unit, const std::vector<int>& known, int wanted) const;

 private:
  [[nodiscard]] std::size_t at(int unit, int a, int b) const;
  int evaluations_;
  int units_;
  BranchProductsInfo info_;
  std::vector<double> products_;
};

// Weights from products that were measured on runs with everything computed. (arXiv 2604.26365,
// "L2P", learns weights for each timestep by gradient descent; here they follow from the products
// in closed form, for whatever a plan has stored.)
class FittedRecall final : public Recall {
 public:
  // Throws InputError unless depth is 1 ... 8. `source` begins messages and names it.
  FittedRecall(BranchProducts products, int depth, std::string source = "fitted");
  // Throws what BranchProducts::load throws.
  static FittedRecall load(const std::filesystem::path& file, int depth);

  [[nodiscard]] std::string name() const override;
  [[nodiscard]] std::string identity() const override;
  [[nodiscard]] int depth() const override { return depth_; }
  // Evaluations, units, spacing, sampler and model must be those that were measured.
  void check(const RunShape& shape) const override;
  [[nodiscard]] std::vector<double> weights(int unit, std::span<const Moment> known,
                                            const Moment& now) const override;

 private:
  BranchProducts products_;
  int depth_;
  std::string source_;
};

// Computes everything and adds the products of each run to `products`, which outlives all runs. Of
// large branches a part of the elements, evenly spread, stands for all of them. Its runs may go on
// at the same time; read the products when they have ended.
class MeasureProducts final : public CachePolicy {
 public:
  explicit MeasureProducts(BranchProducts& products) : products_(products) {}
  [[nodiscard]] std::string name() const override { return "measure products"; }
  [[nodiscard]] std::optional<CachePlan> plan(const RunShape&) const override { return {}; }
  // Throws InputError for a run of other evaluations or units than the products'.
  [[nodiscard]] std::unique_ptr<CacheRun> start(const RunShape& shape, CacheStore& store,
                                                const Recall* recall) const override;

 private:
  BranchProducts& products_;
  std::shared_ptr<std::mutex> adding_ = std::make_shared<std::mutex>();  // runs share it
};

}  // namespace l2c
