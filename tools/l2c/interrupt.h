// Ctrl-C.
#pragma once

#include <stop_token>
#include <thread>

namespace l2c::cli {

// While it lives, SIGINT and SIGTERM request a stop instead of ending the process; a second one
// ends it at once with exit code 130. Make it before any other thread starts: threads inherit the
// blocked signals.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }

 private:
  std::stop_source source_;
  std::jthread waiter_;
};

}  // namespace l2c::cli
