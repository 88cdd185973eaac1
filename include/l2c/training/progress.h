// What a training tells while it runs. No LibTorch header behind it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace l2c {

// A row of a training's loss curve.
struct TrainingProgress {
  std::int64_t step = 0;  // steps done
  std::int64_t of = 0;    // steps in all
  std::int64_t resumed_from = 0;
  double elapsed_seconds = 0;     // of this process
  double samples_per_second = 0;  // since the previous report
  // Means since the previous report, in the order of the curve's columns: {"loss", 0.047}, ...
  std::vector<std::pair<std::string, double>> values;
};

// Called on the training's thread. An exception thrown from it ends the training without a save.
using TrainingProgressFunction = std::function<void(const TrainingProgress&)>;

}  // namespace l2c
