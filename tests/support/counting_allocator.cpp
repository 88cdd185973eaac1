#include "support/counting_allocator.h"

#include <utility>

namespace l2c::test {

namespace {

struct Block {
  c10::DataPtr memory;
  std::int64_t bytes;
};

}  // namespace

CountingAllocator& CountingAllocator::installed() {
  static CountingAllocator* const counting = [] {
    auto* const made = new CountingAllocator(c10::GetCPUAllocator());
    c10::SetCPUAllocator(made, /*priority=*/100);
    return made;
  }();
  return *counting;
}

c10::DataPtr CountingAllocator::allocate(std::size_t bytes) {
  if (bytes >= counted_) ++requests_;
  const auto size = static_cast<std::int64_t>(bytes);
  const std::int64_t live = live_ += size;
  std::int64_t seen = peak_;
  while (live > seen && !peak_.compare_exchange_weak(seen, live)) {
  }
  auto* const block = new Block{inner_->allocate(bytes), size};
  return {block->memory.get(), block, &free_block, at::kCPU};
}

void CountingAllocator::free_block(void* context) {
  auto* const block = static_cast<Block*>(context);
  installed().live_ -= block->bytes;
  delete block;
}

void CountingAllocator::count_from(std::size_t bytes) {
  counted_ = bytes;
  requests_ = 0;
  start_ = live_;
  peak_ = start_;
}

}  // namespace l2c::test
