// CUDA graphs of the model calls of planned runs: what the device is asked to do is recorded once
// for every set of computed branches (and of places that reused ones are read from) and repeated
// afterwards, without the host's part of the work.
#pragma once

#include <functional>
#include <memory>

#include "l2c/cache/plan.h"
#include "l2c/core/torch.h"

namespace l2c {

class Denoiser;
class ForwardExecutor;

// Work of a device, recorded once.
class RecordedGraph {
 public:
  virtual ~RecordedGraph() = default;
  // Queues the work on the current stream. Reads and writes the memory that was recorded.
  virtual void replay() = 0;
};

// Not thread-safe.
class GraphRecorder {
 public:
  using Work = std::function<void()>;
  virtual ~GraphRecorder() = default;
  // Does the work where record() would record it, so that what LibTorch sets up at first calls is
  // there before.
  virtual void run(const Work& work) = 0;
  // Records the work without doing it. It must allocate what it needs within itself, and must not
  // wait for the device. What the recording refers to must outlive the graph. Throws what the work
  // throws, and c10::Error for what cannot be recorded.
  virtual std::unique_ptr<RecordedGraph> record(const Work& work) = 0;
};

using GraphRecorderFactory = std::function<std::unique_ptr<GraphRecorder>()>;

// Recorders of CUDA graphs on the device; empty for other devices and in builds without CUDA.
GraphRecorderFactory cuda_graphs(at::Device device);

// The graphs of micro-batches that are sampled one after the other: equal ones share them. Not
// thread-safe.
class GraphSet {
 public:
  // Throws InputError for an empty factory.
  explicit GraphSet(GraphRecorderFactory make_recorder);
  ~GraphSet();
  GraphSet(const GraphSet&) = delete;
  GraphSet& operator=(const GraphSet&) = delete;

  // For denoise(): the model calls of a run that carries out `plan`, of labels.size(0) rows, in
  // batches of inputs like `x` [N, C, S, S], which is doubled when there are twice as many rows.
  // What it refers to is valid until the next call. The graphs of the call before are kept when
  // model, plan and sizes are the same.
  ForwardExecutor& start(const Denoiser& model, const CachePlan& plan, const at::Tensor& labels,
                         const at::Tensor& x);

  // Graphs recorded since the set was made.
  [[nodiscard]] int recorded() const { return recorded_; }

 private:
  class Planned;
  GraphRecorderFactory make_recorder_;
  std::unique_ptr<Planned> planned_;
  int recorded_ = 0;
};

}  // namespace l2c
