// Timing policies against each other. No LibTorch header behind it.
#pragma once

#include <cstddef>
#include <functional>
#include <stop_token>
#include <vector>

#include "l2c/sampling/pipeline.h"

namespace l2c {

// Between them lies the middle half of the rounds.
struct Quartiles {
  double low = 0;
  double high = 0;
};

// Of the values in any order, with a straight line between neighbours: share 0 is the least, 0.5
// the median, 1 the largest. Throws InputError without values and for shares outside 0 ... 1.
double quantile(std::vector<double> values, double share);

// numerator / denominator round by round, as many as both have: what slows a whole round down
// cancels.
std::vector<double> round_ratios(const std::vector<double>& numerator,
                                 const std::vector<double>& denominator);

// Which of the requests 0, 1, ... comes when in a round (from 0): each round begins with the next
// one, and every second goes backwards.
std::vector<std::size_t> alternating_order(std::size_t round, std::size_t requests);

struct Timing {
  std::vector<double> seconds;   // of the denoising loop, one a round
  double seconds_per_image = 0;  // median over the rounds
  double speedup = 1;  // median over the rounds of the first request's seconds / this one's
  Quartiles seconds_per_image_quartiles;
  Quartiles speedup_quartiles{.low = 1, .high = 1};
};

// Samples the requests in turn, one round after another, so that what slows the machine down for a
// while slows down all of them; a round before the first one warms up and is not counted. The
// order changes (alternating_order): a processor that tires within a round, or what a run leaves in
// the caches, serves none of them more than others. The first request is what the others are
// compared with. progress (may be empty) is called with (rounds done, rounds in all). Throws
// InputError (no requests, rounds < 1), what Pipeline::sample throws.
std::vector<Timing> measure_alternating(const Pipeline& pipeline,
                                        const std::vector<Request>& requests, int rounds,
                                        const std::function<void(int, int)>& progress = {},
                                        std::stop_token stop = {});

}  // namespace l2c
