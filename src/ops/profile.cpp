#include "l2c/ops/profile.h"

#include <utility>

#include "cpu/timed.h"

namespace l2c::ops {

namespace {

constexpr std::array<std::string_view, operation_count> names{
    "qkv", "attention", "proj", "fc1", "fc2", "residual_norm", "other_products"};

thread_local Profile* current = nullptr;

}  // namespace

std::string_view name(Operation operation) { return names.at(static_cast<std::size_t>(operation)); }

OperationTime Profile::time(Operation operation) const {
  const Entry& entry = entries_.at(static_cast<std::size_t>(operation));
  return {static_cast<double>(entry.nanoseconds.load()) * 1e-9, entry.pieces.load()};
}

void Profile::add(Operation operation, std::int64_t nanoseconds) {
  Entry& entry = entries_.at(static_cast<std::size_t>(operation));
  entry.nanoseconds.fetch_add(nanoseconds, std::memory_order_relaxed);
  entry.pieces.fetch_add(1, std::memory_order_relaxed);
}

ProfileScope::ProfileScope(Profile& profile) : outer_(std::exchange(current, &profile)) {}
ProfileScope::~ProfileScope() { current = outer_; }

namespace cpu {

Profile* open_profile() { return current; }

}  // namespace cpu

}  // namespace l2c::ops
