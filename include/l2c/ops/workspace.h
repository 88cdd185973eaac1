// Memory of a run, used again from step to step.
#pragma once

#include <cstddef>
#include <memory>

#include "l2c/core/torch.h"

namespace l2c::ops {

class WorkspacePool;

// Where operations take the memory of their results from while a WorkspaceScope is open on their
// thread: blocks that come back when a tensor dies and serve the next one of that size. A run whose
// first step computes every branch asks the system for nothing afterwards. CPU only; on CUDA
// LibTorch's allocator does the same. Tensors may outlive the workspace and die on any thread.
class Workspace {
 public:
  Workspace();
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  // Bytes taken from the system so far; they are given back when the workspace is gone and so is
  // the last tensor.
  [[nodiscard]] std::size_t bytes() const;
  // How often the system was asked.
  [[nodiscard]] std::size_t blocks() const;

 private:
  friend class WorkspaceScope;
  std::shared_ptr<WorkspacePool> pool_;
};

// Opens a workspace for the operations of this thread, until the scope ends; scopes nest.
class WorkspaceScope {
 public:
  explicit WorkspaceScope(Workspace& workspace);
  ~WorkspaceScope();
  WorkspaceScope(const WorkspaceScope&) = delete;
  WorkspaceScope& operator=(const WorkspaceScope&) = delete;

 private:
  std::shared_ptr<WorkspacePool> outer_;
};

// An uninitialised contiguous tensor, from the thread's workspace if there is one open and the
// device is the CPU. The memory is 64-byte aligned.
at::Tensor empty(at::IntArrayRef sizes, const at::TensorOptions& options);

}  // namespace l2c::ops
