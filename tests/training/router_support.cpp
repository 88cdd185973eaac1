#include "router_support.h"

#include <gtest/gtest.h>

#include <fstream>
#include <utility>

#include "l2c/core/error.h"
#include "l2c/core/log.h"
#include "support/models.h"

namespace l2c::test {

namespace fs = std::filesystem;

std::shared_ptr<const DataSet> tiny_data(float offset) {
  const auto x = at::linspace(-1, 1, 12 * 4 * 8 * 8).view({12, 4, 8, 8}).sin() + offset;
  return tensor_data(x, at::arange(12) % 10, 10, "12 made-up latents");
}

RouterTrainingOptions tiny_options(std::int64_t iterations) {
  RouterTrainingOptions options;
  options.iterations = iterations;
  options.batch_size = 4;
  options.learning_rate = 0.05;
  options.lambda = 1e-3;
  options.report_every = 4;
  options.own_samples = {.count = 6, .guidance = 1.5, .batch_size = 4};
  return options;
}

RouterTrainingResult train(const RouterTrainingOptions& options, const fs::path& folder,
                           std::shared_ptr<const DataSet> data) {
  return RouterTrainer(tiny_model(), std::move(data), options, folder).run();
}

std::vector<float> logits(const Router& router) {
  std::vector<float> values;
  for (int row = 0; row < router.rows(); ++row) {
    for (int unit = 0; unit < router.units(); ++unit) values.push_back(router.logit(row, unit));
  }
  return values;
}

// Stops a training after so many iterations. Returns its message.
std::string stop_after(std::int64_t iterations, RouterTrainingOptions options,
                       const fs::path& folder, std::shared_ptr<const DataSet> data) {
  std::stop_source source;
  options.report_every = 1;
  RouterTrainer trainer(tiny_model(), std::move(data), options, folder);
  try {
    trainer.run(
        [&](const TrainingProgress& progress) {
          const bool trains = progress.values.front().first == "loss";
          if (trains && progress.step == iterations) source.request_stop();
        },
        source.get_token());
  } catch (const Cancelled& stopped) {
    EXPECT_EQ(trainer.iteration(), iterations);
    return stopped.what();
  }
  ADD_FAILURE() << "was not stopped";
  return {};
}

LogCapture::LogCapture() {
  set_log_handler([this](LogLevel level, std::string_view message) {
    if (level == LogLevel::warning) warnings += std::string(message) + "\n";
  });
}

LogCapture::~LogCapture() { set_log_handler({}); }

void damage(const fs::path& file) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekg(-1, std::ios::end);
  const char byte = static_cast<char>(stream.get() ^ 0x40);
  stream.seekp(-1, std::ios::end);
  stream.put(byte);
}

}  // namespace l2c::test
