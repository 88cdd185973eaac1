#include "l2c/cache/branch_changes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <deque>
#include <memory>
#include <utility>

#include "l2c/cache/store.h"
#include "l2c/core/error.h"
#include "l2c/models/branch_runner.h"
#include "measured.h"

namespace l2c {

namespace {

double relative_change(const at::Tensor& earlier, const at::Tensor& later) {
  const at::Tensor now = later.to(at::kFloat);
  const double difference = (earlier.to(at::kFloat) - now).abs().sum().item<double>();
  // A branch that does nothing, and did nothing before, did not change.
  return difference == 0 ? 0 : difference / now.abs().sum().item<double>();
}

class MeasuringRun final : public CacheRun, private BranchRunner {
 public:
  MeasuringRun(BranchChanges& changes, std::shared_ptr<std::mutex> adding)
      : changes_(changes),
        adding_(std::move(adding)),
        kept_(static_cast<std::size_t>(changes.units())) {}
  BranchRunner& begin(const Evaluation& evaluation) override {
    evaluation_ = evaluation.index;
    return *this;
  }

 private:
  BranchValue branch(BranchId id, BranchFunction compute) override {
    auto& kept = kept_.at(static_cast<std::size_t>(id.unit()));
    const at::Tensor value = compute({});
    for (std::size_t i = 0; i < kept.size(); ++i) {
      const int distance = static_cast<int>(i) + 1;
      add(distance, id.unit(), relative_change(kept[i], value));
    }
    kept.push_front(value.clone());
    if (kept.size() > static_cast<std::size_t>(changes_.lookahead())) kept.pop_back();
    return single(value);
  }

  void add(int distance, int unit, double change) {
    const std::scoped_lock lock(*adding_);
    changes_.add(evaluation_ - distance, distance, unit, change);
  }

  BranchChanges& changes_;
  std::shared_ptr<std::mutex> adding_;
  int evaluation_ = 0;
  std::vector<std::deque<at::Tensor>> kept_;  // of each unit, latest first
};

}  // namespace

BranchChanges::BranchChanges(int evaluations, int units, int lookahead)
    : evaluations_(evaluations), units_(units), lookahead_(lookahead) {
  if (evaluations < 1 || units < 2 || units % 2 != 0 || lookahead < 1) {
    throw InputError(fmt::format(
        "changes of {} evaluations of {} units, up to {} apart, cannot be measured: give at least "
        "1 evaluation, two units for each block, and 1",
        evaluations, units, lookahead));
  }
  means_.resize(static_cast<std::size_t>(evaluations) * static_cast<std::size_t>(units) *
                static_cast<std::size_t>(lookahead));
}

std::size_t BranchChanges::at(int evaluation, int distance, int unit) const {
  if (evaluation < 0 || distance < 1 || distance > lookahead_ ||
      evaluation + distance >= evaluations_ || unit < 0 || unit >= units_) {
    throw Error(fmt::format("no change from evaluation {} to the one {} later of unit {} is kept",
                            evaluation, distance, unit));
  }
  const auto row = static_cast<std::size_t>(evaluation) * static_cast<std::size_t>(lookahead_) +
                   static_cast<std::size_t>(distance - 1);
  return row * static_cast<std::size_t>(units_) + static_cast<std::size_t>(unit);
}

void BranchChanges::add(int evaluation, int distance, int unit, double change) {
  const std::size_t index = at(evaluation, distance, unit);
  means_[index].sum += change;
  ++means_[index].count;
}

double BranchChanges::mean(int evaluation, int distance, int unit) const {
  const std::size_t index = at(evaluation, distance, unit);
  return means_[index].count == 0 ? 0 : means_[index].sum / means_[index].count;
}

double BranchChanges::mean_over_blocks(int evaluation, int distance, BranchKind kind) const {
  double sum = 0;
  for (int unit = static_cast<int>(kind); unit < units_; unit += 2) {
    sum += mean(evaluation, distance, unit);
  }
  return sum / (units_ / 2);
}

std::vector<int> BranchChanges::scan(BranchKind kind, double threshold) const {
  std::vector<int> computed(static_cast<std::size_t>(evaluations_), 1);
  int evaluation = 0;
  while (evaluation < evaluations_) {
    int reuses = std::min(lookahead_, evaluations_ - 1 - evaluation);
    // Written so that a change that is no number computes.
    while (reuses > 0 && !(mean_over_blocks(evaluation, reuses, kind) <= threshold)) --reuses;
    const auto first = computed.begin() + evaluation + 1;
    std::fill(first, first + reuses, 0);
    evaluation += reuses + 1;
  }
  computed.back() = 1;
  return computed;
}

SmoothCache::Schedule BranchChanges::smooth_cache(double threshold) const {
  if (!(threshold >= 0) || !std::isfinite(threshold)) {
    throw InputError(
        fmt::format("the threshold of a change must be at least 0, not {}", threshold));
  }
  return {{"attn", scan(BranchKind::attention, threshold)},
          {"mlp", scan(BranchKind::mlp, threshold)}};
}

std::unique_ptr<CacheRun> MeasureChanges::start(const RunShape& shape, CacheStore&,
                                                const Recall*) const {
  check_measured("the changes", changes_.evaluations(), changes_.units(), shape);
  check_measurable("the changes", shape);
  return std::make_unique<MeasuringRun>(changes_, adding_);
}

}  // namespace l2c
