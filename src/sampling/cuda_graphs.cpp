#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <mutex>
#include <utility>

#include "l2c/sampling/graphs.h"

namespace l2c {

namespace {

class CudaGraph final : public RecordedGraph {
 public:
  CudaGraph(std::unique_ptr<at::cuda::CUDAGraph> graph, at::Device device)
      : graph_(std::move(graph)), device_(device) {}
  void replay() override {
    const c10::cuda::CUDAGuard guard(device_);
    graph_->replay();
  }

 private:
  std::unique_ptr<at::cuda::CUDAGraph> graph_;
  at::Device device_;
};

// LibTorch's allocator serves several captures at a time; one is easier to trust.
std::mutex& capturing() {
  static std::mutex mutex;
  return mutex;
}

// Works on a stream of its own, because the default stream cannot be captured, and the caches that
// LibTorch keeps for each stream (cuBLAS workspaces) should be there before the first capture. All
// its graphs share a memory pool: none of them leaves anything in it, so they may be replayed in
// any order.
class CudaRecorder final : public GraphRecorder {
 public:
  explicit CudaRecorder(at::Device device)
      : device_(device),
        stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index())),
        pool_(at::cuda::graph_pool_handle()) {}

  void run(const Work& work) override { on_own_stream(work); }

  std::unique_ptr<RecordedGraph> record(const Work& work) override {
    auto graph = std::make_unique<at::cuda::CUDAGraph>();
    const std::scoped_lock lock(capturing());
    on_own_stream([&] { capture(*graph, work); });
    return std::make_unique<CudaGraph>(std::move(graph), device_);
  }

 private:
  // After what is queued on the current stream, and before what will be.
  void on_own_stream(const Work& work) {
    const c10::cuda::CUDAGuard device_guard(device_);
    const auto current = c10::cuda::getCurrentCUDAStream(device_.index());
    at::cuda::CUDAEvent before;
    before.record(current);
    before.block(stream_);
    const auto rejoin = [&] {
      at::cuda::CUDAEvent after;
      after.record(stream_);
      after.block(current);
    };
    try {
      const c10::cuda::CUDAStreamGuard stream_guard(stream_);
      work();
    } catch (...) {
      rejoin();  // what is queued still uses memory that the caller is about to free
      throw;
    }
    rejoin();
  }

  void capture(at::cuda::CUDAGraph& graph, const Work& work) {
    // Only this thread's calls may spoil the capture: others go on sampling.
    graph.capture_begin(pool_, cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      try {
        graph.capture_end();
      } catch (const std::exception&) {
        // The work's own error says more than that its capture is incomplete.
      }
      throw;
    }
    graph.capture_end();
  }

  at::Device device_;
  c10::cuda::CUDAStream stream_;
  c10::MempoolId_t pool_;
};

}  // namespace

GraphRecorderFactory cuda_graphs(at::Device device) {
  if (!device.is_cuda()) return {};
  return [device] { return std::make_unique<CudaRecorder>(device); };
}

}  // namespace l2c
