#include "cpu/pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <list>
#include <mutex>
#include <system_error>
#include <thread>

namespace l2c::ops::cpu {

namespace {

// More pieces than threads, so that one that is slow or busy elsewhere takes fewer.
constexpr std::int64_t pieces_per_thread = 3;
// An operation follows the one before within microseconds; waking a sleeping thread costs more.
constexpr auto patience = std::chrono::microseconds(30);

thread_local bool inside = false;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// One call of parallel_for.
class Job {
 public:
  Job(std::int64_t n, std::int64_t pieces, int most_helpers, Work work)
      : n_(n), pieces_(pieces), most_(most_helpers + 1), work_(work) {}

  [[nodiscard]] bool wants_help() const {
    return joined_.load(std::memory_order_relaxed) < most_ &&
           next_.load(std::memory_order_relaxed) < pieces_;
  }

  // Takes part until no piece is left.
  void take_part() {
    const int participant = joined_.fetch_add(1);
    if (participant >= most_) return;
    inside = true;
    for (std::int64_t piece = next_.fetch_add(1); piece < pieces_; piece = next_.fetch_add(1)) {
      try {
        work_(n_ * piece / pieces_, n_ * (piece + 1) / pieces_, participant);
      } catch (...) {
        const std::scoped_lock lock(mutex_);
        if (!error_) error_ = std::current_exception();
        next_.store(pieces_);
      }
    }
    inside = false;
  }

  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

  int helpers = 0;  // in take_part() now; the pool's lock guards it

 private:
  const std::int64_t n_;
  const std::int64_t pieces_;
  const int most_;
  const Work work_;
  std::atomic<std::int64_t> next_ = 0;
  std::atomic<int> joined_ = 0;
  std::mutex mutex_;
  std::exception_ptr error_;
};

class Pool {
 public:
  // Never destroyed: threads may still wait in it while the process ends.
  static Pool& instance() {
    static Pool* const pool = new Pool;
    return *pool;
  }

  void run(std::int64_t n, std::int64_t pieces, int threads, Work work) {
    std::unique_lock lock(mutex_);
    const int others = std::max(0, threads - callers_ - 1);
    const int helpers = static_cast<int>(std::min<std::int64_t>(pieces - 1, others));
    Job job(n, pieces, helpers, work);
    std::list<Job*>::iterator place;
    if (helpers > 0) {
      start_workers(helpers);
      place = jobs_.insert(jobs_.end(), &job);
      posted_.fetch_add(1);
    }
    ++callers_;  // last: what is above may throw
    lock.unlock();
    if (helpers > 0) wake_.notify_all();
    job.take_part();
    finish(job, helpers > 0, place);
    job.rethrow();
  }

 private:
  // As many as are wanted, or as the system gives: a caller does alone what nobody helps with.
  void start_workers(int wanted) {
    try {
      for (; workers_ < wanted; ++workers_) std::thread([this] { help(); }).detach();
    } catch (const std::system_error&) {
    }
  }

  void finish(Job& job, bool posted, std::list<Job*>::iterator place) {
    std::unique_lock lock(mutex_);
    if (posted) jobs_.erase(place);  // nobody joins any more
    --callers_;
    done_.wait(lock, [&] { return job.helpers == 0; });
  }

  Job* next_job() {
    for (Job* job : jobs_) {
      if (job->wants_help()) return job;
    }
    return nullptr;
  }

  void help() {
    std::unique_lock lock(mutex_);
    while (true) {
      Job* const job = next_job();
      if (job == nullptr) {
        wait(lock);
        continue;
      }
      ++job->helpers;
      lock.unlock();
      job->take_part();
      lock.lock();
      if (--job->helpers == 0) done_.notify_all();
    }
  }

  void wait(std::unique_lock<std::mutex>& lock) {
    const auto seen = posted_.load();
    lock.unlock();
    const auto end = std::chrono::steady_clock::now() + patience;
    while (posted_.load(std::memory_order_relaxed) == seen &&
           std::chrono::steady_clock::now() < end) {
      relax();
    }
    lock.lock();
    wake_.wait(lock, [&] { return posted_.load() != seen; });
  }

  std::mutex mutex_;
  std::condition_variable wake_;  // a job was posted
  std::condition_variable done_;  // somebody left a job
  std::list<Job*> jobs_;
  std::atomic<std::uint64_t> posted_ = 0;
  int workers_ = 0;
  int callers_ = 0;
};

}  // namespace

void parallel_for(std::int64_t n, std::int64_t grain, Work work) {
  if (n < 1) return;
  const int threads = most_participants();
  const std::int64_t pieces =
      std::min(n / std::max<std::int64_t>(grain, 1), pieces_per_thread * threads);
  if (threads == 1 || pieces < 2) {
    work(0, n, 0);
  } else {
    Pool::instance().run(n, pieces, threads, work);
  }
}

int most_participants() {
  return inside || at::in_parallel_region() ? 1 : std::max(1, at::get_num_threads());
}

}  // namespace l2c::ops::cpu
