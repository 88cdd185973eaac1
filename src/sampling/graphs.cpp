#include "l2c/sampling/graphs.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "forward_executor.h"
#include "l2c/cache/plan_places.h"
#include "l2c/cache/store.h"
#include "l2c/core/error.h"
#include "l2c/core/log.h"
#include "l2c/models/denoiser.h"

namespace l2c {

namespace {

// What becomes of one branch in an evaluation: computed into a place (-1: into none of them), or
// added up from places. A computed branch goes to a free place whether anybody reads it or not:
// what is kept is then no part of what a graph depends on.
struct Task {
  bool computed = false;
  int place = -1;
  std::vector<std::pair<int, float>> reads;  // place, weight

  friend auto operator<=>(const Task&, const Task&) = default;
};

// One entry a unit.
using Tasks = std::vector<Task>;

Tasks tasks_of(const CachePlan& plan, const PlanPlaces& places, int evaluation) {
  Tasks tasks;
  for (int unit = 0; unit < plan.units(); ++unit) {
    Task& task = tasks.emplace_back();
    task.computed = plan.computes(evaluation, unit);
    task.place = places.may_go_to(evaluation, unit);
    for (const auto& read : places.reads(evaluation, unit)) {
      task.reads.emplace_back(read.place, read.weight);
    }
  }
  return tasks;
}

// The slots of one unit, one a place.
using Slots = std::vector<at::Tensor>;

class TaskRunner final : public BranchRunner {
 public:
  TaskRunner(const Tasks& tasks, const std::vector<Slots>& slots) : tasks_(tasks), slots_(slots) {}
  BranchValue branch(BranchId id, BranchFunction compute) override {
    const auto unit = static_cast<std::size_t>(id.unit());
    const Task& task = tasks_.at(unit);
    if (task.computed)
      return single(compute(task.place < 0 ? at::Tensor() : slot(unit, task.place)));
    BranchValue value;
    for (const auto& [place, weight] : task.reads) value.push_back({slot(unit, place), weight});
    return value;
  }

 private:
  [[nodiscard]] at::Tensor slot(std::size_t unit, int place) const {
    return slots_.at(unit).at(static_cast<std::size_t>(place));
  }

  const Tasks& tasks_;
  const std::vector<Slots>& slots_;
};

}  // namespace

// Inputs, slots and output stay at their addresses as long as there are graphs.
class GraphSet::Planned final : public ForwardExecutor {
 public:
  Planned(const Denoiser& model, CachePlan plan, std::int64_t rows, const at::Tensor& x,
          std::unique_ptr<GraphRecorder> recorder, int& recorded)
      : model_(model),
        plan_(std::move(plan)),
        places_(plan_),
        recorder_(std::move(recorder)),
        recorded_(recorded),
        x_(at::empty({rows, x.size(1), x.size(2), x.size(3)}, x.options())),
        t_(at::empty({rows}, x.options())),
        labels_(at::empty({rows}, x.options().dtype(at::kLong))),
        store_(rows, model.info().tokens, model.info().width,
               x.options().dtype(model.branch_dtype())) {
    for (int unit = 0; unit < plan_.units(); ++unit) {
      Slots& slots = slots_.emplace_back();
      for (int place = 0; place < places_.of_unit(unit); ++place) {
        slots.push_back(store_.slot({.unit = unit, .place = place}));
      }
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
    const Tasks tasks = tasks_of(plan_, places_, evaluation.index);
    run(tasks);
    double computed = 0;
    for (std::size_t unit = 0; unit < tasks.size(); ++unit) {
      by_unit[unit] += tasks[unit].computed ? 1 : 0;
      computed += tasks[unit].computed ? 1 : 0;
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
  // from; recorded the second time, because tasks that do not come back are not worth a graph.
  void run(const Tasks& tasks) {
    auto [entry, is_new] = graphs_.try_emplace(tasks);
    if (!is_new && !entry->second && can_record_) entry->second = record(entry->first);
    if (entry->second) {
      entry->second->replay();
    } else {
      recorder_->run(work(entry->first));
    }
  }

  // `tasks` live as long as the graph.
  GraphRecorder::Work work(const Tasks& tasks) {
    return [this, &tasks] {
      TaskRunner runner(tasks, slots_);
      output_.copy_(model_.forward(x_, t_, labels_, runner));
    };
  }

  std::unique_ptr<RecordedGraph> record(const Tasks& tasks) {
    try {
      auto graph = recorder_->record(work(tasks));
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
  const PlanPlaces places_;
  std::unique_ptr<GraphRecorder> recorder_;
  int& recorded_;
  at::Tensor x_, t_, labels_, output_;
  CacheStore store_;
  std::vector<Slots> slots_;  // one entry a unit; empty where nothing is ever reused
  std::map<Tasks, std::unique_ptr<RecordedGraph>> graphs_;
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
