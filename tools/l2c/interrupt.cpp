#include "interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <ctime>

#include "commands.h"
#include "console.h"

namespace l2c::cli {

namespace {

sigset_t stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

// Waits in a thread of its own: a signal handler could not use a stop_source safely.
void wait_for_signals(const std::stop_token& end, std::stop_source& source) {
  const sigset_t signals = stop_signals();
  constexpr timespec poll{.tv_sec = 0, .tv_nsec = 50'000'000};
  while (!end.stop_requested()) {
    if (sigtimedwait(&signals, nullptr, &poll) < 0) continue;
    if (source.stop_requested()) _exit(interrupted);
    source.request_stop();
    complain("stopping after this step (once more to stop at once)");
  }
}

}  // namespace

Interrupt::Interrupt() {
  const sigset_t signals = stop_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  waiter_ = std::jthread([this](const std::stop_token& end) { wait_for_signals(end, source_); });
}

Interrupt::~Interrupt() {
  waiter_.request_stop();
  waiter_.join();
  const sigset_t signals = stop_signals();
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

}  // namespace l2c::cli
