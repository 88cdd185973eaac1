#include "l2c/evaluation/timing.h"

#include <fmt/format.h>

#include <algorithm>

#include "l2c/core/error.h"

namespace l2c {

namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

void summarize(std::vector<Timing>& timings, const std::vector<int>& images) {
  const auto& base = timings.front().seconds;
  for (std::size_t k = 0; k < timings.size(); ++k) {
    Timing& timing = timings[k];
    std::vector<double> ratios;
    for (std::size_t round = 0; round < base.size(); ++round) {
      ratios.push_back(base[round] / timing.seconds[round]);
    }
    timing.speedup = median(ratios);
    timing.seconds_per_image = median(timing.seconds) / images[k];
  }
}

}  // namespace

std::vector<Timing> measure_alternating(const Pipeline& pipeline,
                                        const std::vector<Request>& requests, int rounds,
                                        const std::function<void(int, int)>& progress,
                                        std::stop_token stop) {
  if (requests.empty()) throw InputError("nothing to time: give at least one request");
  if (rounds < 1) throw InputError(fmt::format("{} rounds of timing: give at least 1", rounds));
  std::vector<Timing> timings(requests.size());
  std::vector<int> images(requests.size(), 1);
  for (int round = -1; round < rounds; ++round) {  // round -1 warms up
    for (std::size_t k = 0; k < requests.size(); ++k) {
      const auto stats = pipeline.sample(requests[k], {}, stop).stats;
      images[k] = stats.images;
      if (round >= 0) timings[k].seconds.push_back(stats.denoise_seconds);
    }
    if (round >= 0 && progress) progress(round + 1, rounds);
  }
  summarize(timings, images);
  return timings;
}

}  // namespace l2c
