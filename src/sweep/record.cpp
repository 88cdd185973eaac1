#include "l2c/sweep/record.h"

namespace l2c {

double SweepRecord::comparable_seconds(std::size_t number) const {
  const SweepPoint& point = points.at(number);
  const SweepPoint& full = points.front();
  const double seconds = point.result().seconds_per_image;
  if (point.reporting || !full.reporting || !(full.choosing.seconds_per_image > 0)) return seconds;
  return seconds * full.reporting->seconds_per_image / full.choosing.seconds_per_image;
}

}  // namespace l2c
