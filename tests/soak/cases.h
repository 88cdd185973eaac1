// The distinct requests of a soak, and what is done with each run.
#pragma once

#include <l2c/l2c.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace l2c::soak {

// A request, sampled again and again.
struct Case {
  std::string name;          // "bf16 router:router20_fast.safetensors, 20 steps, 3 images, ..."
  std::size_t pipeline = 0;  // index of the pipeline it goes to
  Request request;
};

// `count` requests drawn from a seed: every kind of cache policy in turn (the same policy object
// for all its requests), both samplers, with and without guidance, 1 to 8 images in micro-batches
// of 1 to 8, 3 to 50 steps. `assets`: the folder of the Fashion-MNIST model. `memory_limit`: of
// each request, in bytes. Throws InputError when a router cannot be read.
std::vector<Case> make_cases(std::size_t count, const std::vector<std::string>& pipelines,
                             const std::filesystem::path& assets, std::int64_t memory_limit,
                             std::uint64_t seed);

// How a run is to end.
enum class Ending {
  finish,
  stop_in_progress,   // its own progress function requests the stop
  stop_from_outside,  // another thread does, once the run has come to a step
  stop_before,        // requested before the run begins
  throw_in_progress,  // its progress function throws
  refuse,             // the request is bad: InputError
  fail                // the latents become infinite: RunError
};

const char* name_of(Ending ending);

// What cannot be sampled, whatever the request was before. `kind` counts modulo the kinds there
// are.
void spoil(Request& request, std::size_t kind);

struct Job {
  std::size_t index = 0;  // of the case
  Ending ending = Ending::finish;
  // For the three endings in progress: the step after which it happens, counted over all
  // micro-batches, below the last one. For refuse: the kind of mistake.
  std::size_t at = 0;
};

// `runs` jobs in random order: half of them are stopped, 5 % throw, 4 % are refused, 1 % fail, the
// others finish. steps[i]: steps in all of the i-th case, 2 or more.
std::vector<Job> make_jobs(std::size_t runs, const std::vector<int>& steps, std::uint64_t seed);

}  // namespace l2c::soak
