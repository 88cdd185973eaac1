#include "run.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <semaphore>
#include <stop_token>
#include <thread>

#include "compare.h"

namespace l2c::soak {

namespace {

// What the application's own progress function may throw: nothing that l2c knows.
struct OwnException {
  std::size_t step = 0;
};

// Requests a stop from a thread of its own once reach() was called.
class OutsideStop {
 public:
  explicit OutsideStop(std::stop_source source)
      : thread_([this, source]() mutable {
          reached_.acquire();
          if (!given_up_) source.request_stop();
          requested_ = !given_up_;
        }) {}
  // Before the thread is joined: nobody may wait for ever.
  ~OutsideStop() {
    if (!released_) {
      given_up_ = true;
      reached_.release();
    }
  }
  OutsideStop(const OutsideStop&) = delete;
  OutsideStop& operator=(const OutsideStop&) = delete;

  void reach() {
    released_ = true;
    reached_.release();
  }
  [[nodiscard]] bool requested() const { return requested_; }

 private:
  std::binary_semaphore reached_{0};
  std::atomic<bool> given_up_ = false;
  std::atomic<bool> requested_ = false;
  bool released_ = false;
  std::jthread thread_;
};

// The application's side of a run: what its progress function does, and what it saw.
class Caller {
 public:
  Caller(const Job& job, const Planted& planted) : job_(job), planted_(planted) {
    if (planted_.ignored_stops) return;
    if (job_.ending == Ending::stop_before) source_.request_stop();
    if (job_.ending == Ending::stop_from_outside) outside_.emplace(source_);
  }

  void progress(const Progress& progress) {
    if (progress.step < last_step_ || progress.step > progress.of) ++disorder_;
    last_step_ = progress.step;
    if (source_.stop_requested() && (!outside_ || outside_->requested())) ++late_;
    if (progress.phase != Phase::denoise || progress.step != static_cast<int>(job_.at)) return;
    if (job_.ending == Ending::stop_in_progress && !planted_.ignored_stops) source_.request_stop();
    if (outside_) outside_->reach();
    if (job_.ending == Ending::throw_in_progress) throw OwnException{job_.at};
  }

  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }

  // What is wrong with the calls of progress().
  void judge(Outcome& outcome) const {
    if (disorder_ > 0) outcome.problems.push_back("progress went back, or beyond the last step");
    if (late_ > most_late(outcome.ended)) {
      outcome.problems.push_back(fmt::format("{} calls after the stop was requested", late_));
    }
    const bool began = job_.ending != Ending::stop_before && job_.ending != Ending::refuse;
    if (!began && last_step_ > 0) outcome.problems.push_back("steps of a run that must not begin");
  }

 private:
  // The step that is under way when another thread requests the stop still reports; if it was the
  // last one, so does the making of pictures.
  [[nodiscard]] int most_late(Ended ended) const {
    if (!outside_) return 0;
    return ended == Ended::finished ? 2 : 1;
  }

  const Job& job_;
  const Planted& planted_;
  std::stop_source source_;
  std::optional<OutsideStop> outside_;
  int last_step_ = 0;
  int disorder_ = 0;
  int late_ = 0;
};

Request request_of(const Case& which, const Reference& alone, const Job& job) {
  Request request = which.request;
  if (job.ending == Ending::refuse) spoil(request, job.at);
  if (job.ending == Ending::fail) {  // finite, but no step can be made from it
    request.initial_noise = alone.result.latents;
    for (float& value : request.initial_noise->values) value = 3e38F;
  }
  return request;
}

void expect(Outcome& outcome, const Job& job, std::initializer_list<Ended> allowed) {
  for (const Ended ended : allowed) {
    if (outcome.ended == ended) return;
  }
  outcome.problems.push_back(
      fmt::format("was to {}, but {}", name_of(job.ending), name_of(outcome.ended)));
}

void judge_ending(Outcome& outcome, const Job& job) {
  switch (job.ending) {
    case Ending::finish:
      return expect(outcome, job, {Ended::finished});
    case Ending::stop_in_progress:
    case Ending::stop_before:
      return expect(outcome, job, {Ended::stopped});
    case Ending::stop_from_outside:  // which may come too late
      return expect(outcome, job, {Ended::stopped, Ended::finished});
    case Ending::throw_in_progress:
      return expect(outcome, job, {Ended::threw});
    case Ending::refuse:
      return expect(outcome, job, {Ended::refused});
    case Ending::fail:
      return expect(outcome, job, {Ended::failed});
  }
}

// Reachable memory, so that only its growth tells.
void keep_memory() {
  static std::mutex mutex;
  static std::vector<std::unique_ptr<std::vector<char>>> kept;
  const std::scoped_lock lock(mutex);
  kept.push_back(std::make_unique<std::vector<char>>(std::size_t{50'000}, 'l'));
}

void plant(const Planted& planted, Result& result) {
  if (planted.wrong_bits) result.latents.values.back() *= 1 + 1e-6F;
  if (planted.growth) keep_memory();
  if (planted.open_files) (void)open("/dev/null", O_RDONLY | O_CLOEXEC);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

const char* name_of(Ended ended) {
  switch (ended) {
    case Ended::finished:
      return "finished";
    case Ended::stopped:
      return "was cancelled";
    case Ended::threw:
      return "threw the caller's exception";
    case Ended::refused:
      return "was refused";
    case Ended::failed:
      return "failed";
  }
  return "";
}

Reference sample_alone(const Pipeline& pipeline, const Case& which) {
  Reference reference;
  const auto start = std::chrono::steady_clock::now();
  reference.result = pipeline.sample(
      which.request, [&](const Progress& progress) { reference.steps = progress.of; });
  reference.seconds = seconds_since(start);
  return reference;
}

Outcome run_job(const Pipeline& pipeline, const Case& which, const Reference& alone, const Job& job,
                const Planted& planted) {
  Outcome outcome;
  Caller caller(job, planted);
  const Request request = request_of(which, alone, job);
  try {
    auto result = pipeline.sample(
        request, [&](const Progress& progress) { caller.progress(progress); }, caller.token());
    plant(planted, result);
    const auto unlike = difference(result, alone.result);
    if (!unlike.empty()) outcome.problems.push_back(unlike);
  } catch (const OwnException& own) {
    outcome.ended = Ended::threw;
    if (own.step != job.at) outcome.problems.emplace_back("another exception of the caller's");
  } catch (const Cancelled&) {
    outcome.ended = Ended::stopped;
  } catch (const InputError& error) {
    outcome.ended = Ended::refused;
    if (job.ending != Ending::refuse) outcome.problems.emplace_back(error.what());
  } catch (const RunError& error) {
    outcome.ended = Ended::failed;
    if (job.ending != Ending::fail) outcome.problems.emplace_back(error.what());
  } catch (const std::exception& error) {
    outcome.ended = Ended::failed;
    outcome.problems.push_back(fmt::format("neither l2c's nor the caller's: {}", error.what()));
  }
  judge_ending(outcome, job);
  caller.judge(outcome);
  return outcome;
}

}  // namespace l2c::soak
