// Times a piece of an operation for the profile that its caller has open, if any.
#pragma once

#include <cstdint>
#include <ctime>

#include "l2c/ops/profile.h"

namespace l2c::ops::cpu {

// Of the calling thread, or null. To be asked before work goes to other threads.
Profile* open_profile();

// Begins and ends on one thread.
class Timed {
 public:
  Timed(Profile* profile, Operation operation) : profile_(profile), operation_(operation) {
    if (profile_ != nullptr) start_ = thread_nanoseconds();
  }
  ~Timed() {
    if (profile_ != nullptr) profile_->add(operation_, thread_nanoseconds() - start_);
  }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  // On a busy machine the clock on the wall would count other processes' turns, too.
  static std::int64_t thread_nanoseconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  }
  Profile* profile_;
  Operation operation_;
  std::int64_t start_ = 0;
};

}  // namespace l2c::ops::cpu
