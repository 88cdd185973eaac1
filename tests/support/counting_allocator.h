// Counts what LibTorch's CPU allocator hands out.
#pragma once

#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <atomic>
#include <cstddef>

namespace l2c::test {

// Installed for the whole program at the first call of installed().
class CountingAllocator final : public c10::Allocator {
 public:
  static CountingAllocator& installed();

  c10::DataPtr allocate(std::size_t bytes) override;
  [[nodiscard]] c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, std::size_t count) const override {
    inner_->copy_data(to, from, count);
  }

  // Requests of at least `bytes` from now on, from zero.
  void count_from(std::size_t bytes);
  [[nodiscard]] int requests() const { return requests_; }
  // The most bytes that lived at a time beyond those that lived at count_from().
  [[nodiscard]] std::int64_t peak() const { return peak_ - start_; }

 private:
  explicit CountingAllocator(c10::Allocator* inner) : inner_(inner) {}
  static void free_block(void* context);

  c10::Allocator* inner_;
  std::atomic<std::size_t> counted_ = 0;
  std::atomic<int> requests_ = 0;
  std::atomic<std::int64_t> live_ = 0;
  std::atomic<std::int64_t> peak_ = 0;
  std::int64_t start_ = 0;
};

}  // namespace l2c::test
