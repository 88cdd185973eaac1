#include "l2c/sampling/graphs.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "forward_executor.h"
#include "l2c/cache/store.h"
#include "l2c/core/error.h"
#include "l2c/core/log.h"
#include "l2c/models/denoiser.h"

namespace l2c {

namespace {

// The branches that an evaluation computes, one entry a unit.
using Mask = std::vector<bool>;

Mask mask_of(const CachePlan& plan, int evaluation) {
  Mask mask;
  for (int unit = 0; unit < plan.units(); ++unit) mask.push_back(plan.computes(evaluation, unit));
  return mask;
}

// Computes and reuses as a mask says. A computed branch that has a slot goes there whether the next
// evaluation reads it or not: what is kept is then no part of what a graph depends on.
class MaskRunner final : public BranchRunner {
 public:
  MaskRunner(const Mask& mask, const std::vector<at::Tensor>& slots) : mask_(mask), slots_(slots) {}
  BranchValue branch(BranchId id, BranchFunction compute) override {
    const auto unit = static_cast<std::size_t>(id.unit());
    return single(mask_.at(unit) ? compute(slots_.at(unit)) : slots_.at(unit));
  }

 private:
  const Mask& mask_;
  const std::vector<at::Tensor>& slots_;
};

}  // namespace

// Inputs, slots and output stay at their addresses as long as there are graphs.
class GraphSet::Planned final : public ForwardExecutor {
 public:
  Planned(const Denoiser& model, CachePlan plan, std::int64_t rows, const at::Tensor& x,
          std::unique_ptr<GraphRecorder> recorder, int& recorded)
      : model_(model),
        plan_(std::move(plan)),
        recorder_(std::move(recorder)),
        recorded_(recorded),
        x_(at::empty({rows, x.size(1), x.size(2), x.size(3)}, x.options())),
        t_(at::empty({rows}, x.options())),
        labels_(at::empty({rows}, x.options().dtype(at::kLong))),
        store_(rows, model.info().tokens, model.info().width,
               x.options().dtype(model.branch_dtype())) {
    for (int unit = 0; unit < plan_.units(); ++unit) {
      slots_.push_back(plan_.ever_reused(unit) ? store_.slot({.unit = unit}) : at::Tensor());
    }
    output_ = at::empty({rows, model.info().out_channels, x.size(2), x.size(3)}, x.options());
  }

  [[nodiscard]] bool serves(const Denoiser& model, const CachePlan& plan, std::int64_t rows,
                            const at::Tensor& x) const {
    return &model == &model_ && rows == x_.size(0) && x.sizes().slice(1) == x_.sizes().slice(1) &&
           x.device() == x_.device() && plan == plan_;
  }

  void set_labels(const at::Tensor& labels) { labels_.copy_(labels); }

  ModelCall forward(const Evaluation& evaluation, const at::Tensor& x,
                    std::vector<double>& by_unit) override {
    set_inputs(evaluation, x);
    const Mask mask = mask_of(plan_, evaluation.index);
    run(mask);
    double computed = 0;
    for (std::size_t unit = 0; unit < mask.size(); ++unit) {
      by_unit[unit] += mask[unit] ? 1 : 0;
      computed += mask[unit] ? 1 : 0;
    }
    // A copy: the next call writes to the same memory.
    return {output_.clone(), computed};
  }

  [[nodiscard]] std::size_t cache_bytes() const override { return store_.peak_bytes(); }

 private:
  void set_inputs(const Evaluation& evaluation, const at::Tensor& x) {
    for (std::int64_t row = 0; row < x_.size(0); row += x.size(0)) {
      x_.narrow(0, row, x.size(0)).copy_(x);
    }
    t_.fill_(evaluation.time);
  }

  // The first time as it is, so that LibTorch sets up what it needs and measures what it chooses
  // from; recorded the second time, because a mask that does not come back is not worth a graph.
  void run(const Mask& mask) {
    auto [entry, is_new] = graphs_.try_emplace(mask);
    if (!is_new && !entry->second && can_record_) entry->second = record(entry->first);
    if (entry->second) {
      entry->second->replay();
    } else {
      recorder_->run(work(entry->first));
    }
  }

  // `mask` lives as long as the graph.
  GraphRecorder::Work work(const Mask& mask) {
    return [this, &mask] {
      MaskRunner runner(mask, slots_);
      output_.copy_(model_.forward(x_, t_, labels_, runner));
    };
  }

  std::unique_ptr<RecordedGraph> record(const Mask& mask) {
    try {
      auto graph = recorder_->record(work(mask));
      ++recorded_;
      return graph;
    } catch (const c10::OutOfMemoryError&) {
      throw;
    } catch (const c10::Error& error) {
      can_record_ = false;
      log::warning(fmt::format("a CUDA graph could not be recorded; going on without: {}",
                               error.what_without_backtrace()));
      return nullptr;
    }
  }

  const Denoiser& model_;
  const CachePlan plan_;
  std::unique_ptr<GraphRecorder> recorder_;
  int& recorded_;
  at::Tensor x_, t_, labels_, output_;
  CacheStore store_;
  std::vector<at::Tensor> slots_;  // one a unit; undefined where nothing is ever reused
  std::map<Mask, std::unique_ptr<RecordedGraph>> graphs_;
  bool can_record_ = true;
};

GraphSet::GraphSet(GraphRecorderFactory make_recorder) : make_recorder_(std::move(make_recorder)) {
  if (!make_recorder_) throw InputError("a set of graphs needs something that records them");
}

GraphSet::~GraphSet() = default;

ForwardExecutor& GraphSet::start(const Denoiser& model, const CachePlan& plan,
                                 const at::Tensor& labels, const at::Tensor& x) {
  const std::int64_t rows = labels.size(0);
  if (!planned_ || !planned_->serves(model, plan, rows, x)) {
    planned_.reset();  // its memory first
    planned_ = std::make_unique<Planned>(model, plan, rows, x, make_recorder_(), recorded_);
  }
  planned_->set_labels(labels);
  return *planned_;
}

}  // namespace l2c
