// Times a piece of an operation for the profile that its caller has open, if any.
#pragma once

#include <chrono>

#include "l2c/ops/profile.h"

namespace l2c::ops::cpu {

// Of the calling thread, or null. To be asked before work goes to other threads.
Profile* open_profile();

class Timed {
 public:
  Timed(Profile* profile, Operation operation) : profile_(profile), operation_(operation) {
    if (profile_ != nullptr) start_ = Clock::now();
  }
  ~Timed() {
    if (profile_ == nullptr) return;
    const auto spent = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start_);
    profile_->add(operation_, spent.count());
  }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  Profile* profile_;
  Operation operation_;
  Clock::time_point start_{};
};

}  // namespace l2c::ops::cpu
