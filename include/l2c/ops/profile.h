// Where the time of forward passes goes.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

namespace l2c::ops {

// What prepared models on the CPU spend their time on. other_products: embeddings, modulations, the
// final layer.
enum class Operation { qkv, attention, proj, fc1, fc2, residual_norm, other_products };
inline constexpr std::size_t operation_count = 7;

// "qkv", "attention", ...
std::string_view name(Operation operation);

struct OperationTime {
  double seconds = 0;  // of processor time, all threads together
  std::int64_t pieces = 0;
};

// Collects times while a ProfileScope is open; any thread may read it.
class Profile {
 public:
  [[nodiscard]] OperationTime time(Operation operation) const;
  void add(Operation operation, std::int64_t nanoseconds);

 private:
  struct Entry {
    std::atomic<std::int64_t> nanoseconds = 0;
    std::atomic<std::int64_t> pieces = 0;
  };
  std::array<Entry, operation_count> entries_;
};

// The operations that this thread calls are timed, on whatever threads they run, until the scope
// ends; scopes nest, the inner one counts. Processor time, so that what else runs on the machine is
// not counted. Costs about half a microsecond a piece.
class ProfileScope {
 public:
  explicit ProfileScope(Profile& profile);
  ~ProfileScope();
  ProfileScope(const ProfileScope&) = delete;
  ProfileScope& operator=(const ProfileScope&) = delete;

 private:
  Profile* outer_;
};

}  // namespace l2c::ops
