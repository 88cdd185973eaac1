#include "l2c/ops/workspace.h"

#include <ATen/EmptyTensor.h>
#include <c10/core/CPUAllocator.h>

#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace l2c::ops {

// Free blocks by their size. The sizes of a run are few and come again, so that a block serves
// exactly its own size.
class WorkspacePool {
 public:
  struct Block {
    c10::DataPtr memory;
    std::size_t bytes = 0;
    std::shared_ptr<WorkspacePool> pool{};  // while the block is in use
  };

  WorkspacePool() = default;
  ~WorkspacePool() {
    for (auto& [bytes, blocks] : free_) {
      for (Block* const block : blocks) delete block;
    }
  }
  WorkspacePool(const WorkspacePool&) = delete;
  WorkspacePool& operator=(const WorkspacePool&) = delete;

  static Block* take(const std::shared_ptr<WorkspacePool>& pool, std::size_t bytes) {
    Block* block = pool->find(bytes);
    if (block == nullptr) block = pool->make(bytes);
    block->pool = pool;
    return block;
  }

  static void give_back(void* context) {
    auto* const block = static_cast<Block*>(context);
    // The pool may die with its last block: it is held until the lock is open again.
    const std::shared_ptr<WorkspacePool> pool = std::move(block->pool);
    const std::scoped_lock lock(pool->mutex_);
    pool->free_[block->bytes].push_back(block);
  }

  [[nodiscard]] std::size_t bytes() const {
    const std::scoped_lock lock(mutex_);
    return bytes_;
  }
  [[nodiscard]] std::size_t blocks() const {
    const std::scoped_lock lock(mutex_);
    return blocks_;
  }

 private:
  Block* find(std::size_t bytes) {
    const std::scoped_lock lock(mutex_);
    const auto found = free_.find(bytes);
    if (found == free_.end() || found->second.empty()) return nullptr;
    Block* const block = found->second.back();
    found->second.pop_back();
    return block;
  }

  Block* make(std::size_t bytes) {
    auto block = std::make_unique<Block>(Block{c10::GetCPUAllocator()->allocate(bytes), bytes});
    const std::scoped_lock lock(mutex_);
    bytes_ += bytes;
    ++blocks_;
    // Coming back must not fail: the room for it is made now.
    auto& same_size = free_[bytes];
    same_size.reserve(blocks_);
    return block.release();
  }

  mutable std::mutex mutex_;
  std::map<std::size_t, std::vector<Block*>> free_;
  std::size_t bytes_ = 0;
  std::size_t blocks_ = 0;
};

namespace {

thread_local std::shared_ptr<WorkspacePool> current;

// Hands out the blocks of the thread's workspace.
class BlockAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    if (!current) return c10::GetCPUAllocator()->allocate(bytes);  // a tensor that grows later
    WorkspacePool::Block* const block = WorkspacePool::take(current, bytes);
    return {block->memory.get(), block, &WorkspacePool::give_back, at::kCPU};
  }
  [[nodiscard]] c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, std::size_t count) const override {
    default_copy_data(to, from, count);
  }
};

}  // namespace

Workspace::Workspace() : pool_(std::make_shared<WorkspacePool>()) {}
Workspace::~Workspace() = default;
std::size_t Workspace::bytes() const { return pool_->bytes(); }
std::size_t Workspace::blocks() const { return pool_->blocks(); }

WorkspaceScope::WorkspaceScope(Workspace& workspace)
    : outer_(std::exchange(current, workspace.pool_)) {}
WorkspaceScope::~WorkspaceScope() { current = std::move(outer_); }

at::Tensor empty(at::IntArrayRef sizes, const at::TensorOptions& options) {
  if (!current || !options.device().is_cpu()) return at::empty(sizes, options);
  static BlockAllocator allocator;
  return at::detail::empty_generic(sizes, &allocator, c10::DispatchKeySet(c10::DispatchKey::CPU),
                                   c10::typeMetaToScalarType(options.dtype()),
                                   /*memory_format_opt=*/std::nullopt);
}

}  // namespace l2c::ops
