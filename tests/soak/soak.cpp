#include "soak.h"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <iostream>
#include <mutex>
#include <thread>

namespace l2c::soak {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t parts = 10;
constexpr std::size_t most_problems = 20;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<Pipeline> load(const Options& options) {
  std::vector<Pipeline> pipelines;
  for (const std::string& dtype : options.dtypes) {
    pipelines.push_back(Pipeline::load(options.assets / "dit.safetensors", {.dtype = dtype}));
  }
  return pipelines;
}

class Soak {
 public:
  explicit Soak(const Options& options) : options_(options), pipelines_(load(options)) {
    findings_.cases = make_cases(options.cases, options.dtypes, options.assets,
                                 options.memory_limit, options.seed);
  }

  Findings operator()() {
    sample_all_alone();
    const auto start = Clock::now();
    findings_.base = process_state();
    restart_peak();
    for (std::size_t part = 0; part < parts; ++part) run_tenth(part);
    findings_.seconds = seconds_since(start);
    findings_.peak = process_state().peak;
    return std::move(findings_);
  }

 private:
  void sample_all_alone() {
    std::vector<int> steps;
    for (const Case& which : findings_.cases) {
      alone_.push_back(sample_alone(pipelines_[which.pipeline], which));
      steps.push_back(alone_.back().steps);
      findings_.images.push_back(alone_.back().result.stats.images);
    }
    jobs_ = make_jobs(options_.runs, steps, options_.seed);
    // Now, so that the soak's own notes are no growth.
    findings_.tenths.resize(parts);
    for (Tenth& tenth : findings_.tenths) tenth.resident.reserve(jobs_.size() / parts + 1);
    for (const Job& job : jobs_) ++findings_.meant[name_of(job.ending)];
    std::cerr << findings_.cases.size() << " requests sampled alone; " << jobs_.size()
              << " runs over " << options_.threads << " threads\n";
  }

  void run_tenth(std::size_t part) {
    const auto start = Clock::now();
    next_ = jobs_.size() * part / parts;
    const std::size_t end = jobs_.size() * (part + 1) / parts;
    Tenth& tenth = findings_.tenths[part];
    {
      std::vector<std::jthread> threads;
      for (std::size_t i = 0; i < options_.threads; ++i) {
        threads.emplace_back([&] { work(end, tenth); });
      }
    }
    tenth.seconds = seconds_since(start);
    tenth.quiet = process_state();
    std::cerr << end << " runs, " << findings_.wrong << " wrong, " << (tenth.quiet.resident >> 20)
              << " MiB resident\n";
  }

  void work(std::size_t end, Tenth& tenth) {
    for (std::size_t i = next_++; i < end; i = next_++) {
      const Job& job = jobs_[i];
      const Case& which = findings_.cases[job.index];
      const Outcome outcome =
          run_job(pipelines_[which.pipeline], which, alone_[job.index], job, options_.planted);
      note(i, which, outcome, tenth);
    }
  }

  void note(std::size_t run, const Case& which, const Outcome& outcome, Tenth& tenth) {
    const std::scoped_lock lock(mutex_);
    tenth.resident.push_back(resident_bytes());
    ++findings_.ended[name_of(outcome.ended)];
    if (outcome.ended == Ended::finished) ++findings_.compared;
    if (outcome.problems.empty()) return;
    ++findings_.wrong;
    for (const std::string& problem : outcome.problems) {
      if (findings_.problems.size() == most_problems) return;
      findings_.problems.push_back(fmt::format("run {} ({}): {}", run, which.name, problem));
    }
  }

  const Options& options_;
  std::vector<Pipeline> pipelines_;
  std::vector<Reference> alone_;
  std::vector<Job> jobs_;
  std::atomic<std::size_t> next_ = 0;
  std::mutex mutex_;
  Findings findings_;
};

void check(const Options& options) {
  if (options.runs < 10) throw InputError("fewer than 10 runs have no tenths");
  if (options.threads < 1 || options.cases < 1 || options.dtypes.empty()) {
    throw InputError("give at least one thread, one distinct request and one dtype");
  }
}

}  // namespace

Findings soak(const Options& options) {
  check(options);
  if (options.pool_threads > 0) set_threads(options.pool_threads);
  return Soak(options)();
}

}  // namespace l2c::soak
