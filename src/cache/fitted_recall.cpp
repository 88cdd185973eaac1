#include "l2c/cache/fitted_recall.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "l2c/cache/store.h"
#include "l2c/core/error.h"
#include "l2c/models/branch_runner.h"
#include "measured.h"

namespace l2c {

namespace {

constexpr int most_values = 8;

// Kept of one output of one micro-batch: enough for products that are sums over many, and 50 steps
// of a large model still fit into memory.
constexpr std::int64_t most_elements = 1 << 16;

// Evenly spread, the same ones in every evaluation; fp32.
at::Tensor part_of(const at::Tensor& value) {
  const at::Tensor flat = value.flatten();
  const std::int64_t step = (flat.numel() + most_elements - 1) / most_elements;
  return flat.slice(0, 0, flat.numel(), step).to(at::kFloat).clone();
}

class ProductsRun final : public CacheRun, private BranchRunner {
 public:
  ProductsRun(BranchProducts& products, std::shared_ptr<std::mutex> adding)
      : products_(products),
        adding_(std::move(adding)),
        outputs_(static_cast<std::size_t>(products.units())) {}
  BranchRunner& begin(const Evaluation& evaluation) override {
    is_last_ = evaluation.index + 1 == products_.evaluations();
    return *this;
  }

 private:
  BranchValue branch(BranchId id, BranchFunction compute) override {
    auto& outputs = outputs_.at(static_cast<std::size_t>(id.unit()));
    const at::Tensor value = compute({});
    outputs.push_back(part_of(value));
    if (is_last_) {
      const at::Tensor all = at::stack(outputs).to(at::kDouble);
      const at::Tensor products = at::mm(all, all.t()).contiguous().cpu();
      const auto* const data = products.const_data_ptr<double>();
      const std::scoped_lock lock(*adding_);
      products_.add(id.unit(), {data, data + products.numel()});
      outputs.clear();
    }
    return single(value);
  }

  BranchProducts& products_;
  std::shared_ptr<std::mutex> adding_;
  bool is_last_ = false;
  std::vector<std::vector<at::Tensor>> outputs_;  // of each unit, one an evaluation
};

}  // namespace

FittedRecall::FittedRecall(BranchProducts products, int depth, std::string source)
    : products_(std::move(products)), depth_(depth), source_(std::move(source)) {
  if (depth < 1 || depth > most_values) {
    throw InputError(
        fmt::format("a fitted forecast from {} values: give 1 to {}", depth, most_values));
  }
}

FittedRecall FittedRecall::load(const std::filesystem::path& file, int depth) {
  return {BranchProducts::load(file), depth, file.string()};
}

std::string FittedRecall::name() const {
  return fmt::format("fitted:{}@{}", std::filesystem::path(source_).stem().string(), depth_);
}

std::string FittedRecall::identity() const {
  return fmt::format("fitted {}, {} values", products_.fingerprint(), depth_);
}

void FittedRecall::check(const RunShape& shape) const {
  check_measured(fmt::format("the forecast {}", source_), products_.evaluations(),
                 products_.units(), shape);
  const auto compare = [&](const char* what, const std::string& fitted, const std::string& run) {
    if (fitted.empty() || run.empty() || fitted == run) return;
    throw InputError(
        fmt::format("the forecast {} was fitted with the {} {}, the run has {}: fit one for this "
                    "run (l2c calibrate --fit)",
                    source_, what, fitted, run));
  };
  const BranchProductsInfo& info = products_.info();
  compare("spacing", info.spacing, shape.spacing);
  compare("sampler", info.sampler, shape.sampler);
  compare("model of fingerprint", info.model_fingerprint, shape.fingerprint);
}

std::vector<double> FittedRecall::weights(int unit, std::span<const Moment> known,
                                          const Moment& now) const {
  if (unit < 0) {
    throw InputError(fmt::format(
        "the forecast {} is fitted to single branches, the policy reuses what ranges of "
        "blocks add: use taylor or chebyshev with it",
        source_));
  }
  std::vector<int> evaluations;
  for (const Moment& moment : known) evaluations.push_back(moment.evaluation);
  return products_.fit(unit, evaluations, now.evaluation);
}

std::unique_ptr<CacheRun> MeasureProducts::start(const RunShape& shape, CacheStore&,
                                                 const Recall*) const {
  check_measured("the products", products_.evaluations(), products_.units(), shape);
  check_measurable("the products", shape);
  return std::make_unique<ProductsRun>(products_, adding_);
}

}  // namespace l2c
