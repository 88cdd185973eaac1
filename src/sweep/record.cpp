#include "l2c/sweep/record.h"

namespace l2c {

double SweepRecord::comparable_seconds(std::size_t number) const {
  const SweepNumbers& full = points.front().result();
  // What the speed-ups are against was timed beside the point that computes everything, whose own
  // speed-up is 1 but for the noise of timing.
  return full.seconds_per_image * full.speedup / points.at(number).result().speedup;
}

double SweepRecord::comparable_frechet(std::size_t number) const {
  const SweepPoint& point = points.at(number);
  const SweepPoint& full = points.front();
  if (point.reporting || !full.reporting) return point.result().frechet.mean;
  return full.reporting->frechet.mean * (1 + point.choosing.above_full.mean / 100);
}

}  // namespace l2c
