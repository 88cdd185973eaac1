// One run of a soak, and what must come of it.
#pragma once

#include <l2c/l2c.h>

#include <string>
#include <vector>

#include "cases.h"

namespace l2c::soak {

// What a case gives when it runs alone.
struct Reference {
  Result result;
  int steps = 0;  // over all micro-batches
  double seconds = 0;
};

// Throws what Pipeline::sample throws.
Reference sample_alone(const Pipeline& pipeline, const Case& which);

enum class Ended { finished, stopped, threw, refused, failed };

const char* name_of(Ended ended);

// Mistakes that the soak makes on purpose, to show that it finds them.
struct Planted {
  bool wrong_bits = false;     // one bit of a finished run's latents
  bool growth = false;         // memory that is kept of each run
  bool open_files = false;     // a file that each run leaves open
  bool ignored_stops = false;  // stops that are requested of nobody
};

struct Outcome {
  Ended ended = Ended::finished;
  std::vector<std::string> problems{};  // empty: as it must be
};

// Runs a job in the calling thread and compares: a finished run with its reference, bit for bit
// (latents, pictures, counts), another with how it was to end. Throws nothing of l2c's. Any number
// of threads may call it.
Outcome run_job(const Pipeline& pipeline, const Case& which, const Reference& alone, const Job& job,
                const Planted& planted);

}  // namespace l2c::soak
