#include "l2c/evaluation/timing.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "l2c/core/error.h"

namespace l2c {

namespace {

// `values` sorted.
double sorted_quantile(const std::vector<double>& values, double share) {
  const double at = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const auto above = std::min(below + 1, values.size() - 1);
  return values[below] + (at - static_cast<double>(below)) * (values[above] - values[below]);
}

struct Summary {
  double median;
  Quartiles quartiles;
};

Summary summary(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {
      .median = sorted_quantile(values, 0.5),
      .quartiles = {.low = sorted_quantile(values, 0.25), .high = sorted_quantile(values, 0.75)}};
}

void summarize(std::vector<Timing>& timings, const std::vector<int>& images) {
  const auto& base = timings.front().seconds;
  for (std::size_t k = 0; k < timings.size(); ++k) {
    Timing& timing = timings[k];
    const auto speedup = summary(round_ratios(base, timing.seconds));
    timing.speedup = speedup.median;
    timing.speedup_quartiles = speedup.quartiles;
    std::vector<double> per_image;
    for (const double seconds : timing.seconds) per_image.push_back(seconds / images[k]);
    const auto seconds = summary(std::move(per_image));
    timing.seconds_per_image = seconds.median;
    timing.seconds_per_image_quartiles = seconds.quartiles;
  }
}

}  // namespace

double quantile(std::vector<double> values, double share) {
  if (values.empty()) throw InputError("no values to take a quantile of");
  if (!(share >= 0 && share <= 1)) {
    throw InputError(fmt::format("a quantile's share is {}, but must be within 0 ... 1", share));
  }
  std::sort(values.begin(), values.end());
  return sorted_quantile(values, share);
}

std::vector<double> round_ratios(const std::vector<double>& numerator,
                                 const std::vector<double>& denominator) {
  std::vector<double> ratios;
  const std::size_t rounds = std::min(numerator.size(), denominator.size());
  for (std::size_t round = 0; round < rounds; ++round) {
    ratios.push_back(numerator[round] / denominator[round]);
  }
  return ratios;
}

std::vector<std::size_t> alternating_order(std::size_t round, std::size_t requests) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < requests; ++i) {
    const std::size_t step = round % 2 == 0 ? i : requests - i;
    order.push_back((round + step) % requests);
  }
  return order;
}

std::vector<Timing> measure_alternating(const Pipeline& pipeline,
                                        const std::vector<Request>& requests, int rounds,
                                        const std::function<void(int, int)>& progress,
                                        std::stop_token stop) {
  if (requests.empty()) throw InputError("nothing to time: give at least one request");
  if (rounds < 1) throw InputError(fmt::format("{} rounds of timing: give at least 1", rounds));
  std::vector<Timing> timings(requests.size());
  std::vector<int> images(requests.size(), 1);
  for (int round = -1; round < rounds; ++round) {  // round -1 warms up
    for (const auto k :
         alternating_order(static_cast<std::size_t>(std::max(round, 0)), requests.size())) {
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
