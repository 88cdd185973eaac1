// What the tests of router training share.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "l2c/datasets/dataset.h"
#include "l2c/training/router_trainer.h"

namespace l2c::test {

// 12 made-up latents of dit_tiny's shape.
std::shared_ptr<const DataSet> tiny_data(float offset = 0);

// 12 iterations of 4, a row of the curve every 4; 6 own samples.
RouterTrainingOptions tiny_options(std::int64_t iterations = 12);

// Of dit_tiny.
RouterTrainingResult train(const RouterTrainingOptions& options,
                           const std::filesystem::path& folder,
                           std::shared_ptr<const DataSet> data = tiny_data());

std::vector<float> logits(const Router& router);

// Stops a training after so many iterations. Returns its message.
std::string stop_after(std::int64_t iterations, RouterTrainingOptions options,
                       const std::filesystem::path& folder, std::shared_ptr<const DataSet> data);

// The warnings logged while it lives, a line each.
class LogCapture {
 public:
  LogCapture();
  ~LogCapture();
  std::string warnings;
};

// Flips a bit of the file's last byte: of its last tensor.
void damage(const std::filesystem::path& file);

}  // namespace l2c::test
