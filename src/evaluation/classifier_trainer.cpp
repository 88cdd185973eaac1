#include "l2c/evaluation/classifier_trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "l2c/core/error.h"
#include "l2c/core/torch_errors.h"

namespace l2c {

namespace {

constexpr std::int64_t report_every = 100;

void check(bool fine, const char* name, double value, const char* allowed) {
  if (fine) return;
  throw InputError(
      fmt::format("{} of a classifier's training is {}, allowed is {}", name, value, allowed));
}

void check_options(const ClassifierTrainingOptions& options, const DataInfo& data) {
  check(options.epochs >= 1 && options.epochs <= 100'000, "epochs", options.epochs, "1 to 100000");
  // Batch normalization needs two samples for its statistics.
  check(options.batch_size >= 2 && options.batch_size <= 65'536, "batch_size", options.batch_size,
        "2 to 65536");
  check(options.learning_rate > 0 && options.learning_rate <= 10, "learning_rate",
        options.learning_rate, "more than 0 and at most 10");
  check(options.warm_up >= 0 && options.warm_up <= 1, "warm_up", options.warm_up, "0 to 1");
  check(options.weight_decay >= 0 && options.weight_decay <= 10, "weight_decay",
        options.weight_decay, "0 to 10");
  check(options.label_smoothing >= 0 && options.label_smoothing < 1, "label_smoothing",
        options.label_smoothing, "at least 0 and less than 1");
  check(options.crop >= 0 && options.crop <= data.image_size / 2, "crop", options.crop,
        "0 to half the image size");
}

// Mirrors half of the images and moves each by up to `crop` pixels, its edges repeated.
class Augmentation {
 public:
  Augmentation(const ClassifierTrainingOptions& options, TrainingRandom random)
      : flip_(options.flip), crop_(options.crop), random_(random) {}

  [[nodiscard]] at::Tensor apply(at::Tensor images, std::int64_t step) const {
    if (flip_) images = mirrored(images, step);
    if (crop_ > 0) images = moved(images, step);
    return images;
  }

 private:
  [[nodiscard]] at::Tensor mirrored(const at::Tensor& images, std::int64_t step) const {
    constexpr double half = 0.5;
    const auto draws = random_.uniform(DrawFor::flip, step, images.size(0));
    const at::Tensor chosen = at::tensor(draws, at::kDouble).lt(half).view({-1, 1, 1, 1});
    return at::where(chosen, images.flip(3), images);
  }
  [[nodiscard]] at::Tensor moved(const at::Tensor& images, std::int64_t step) const {
    const std::int64_t count = images.size(0), size = images.size(3);
    const std::int64_t pad = crop_;
    const at::Tensor padded = at::replication_pad2d(images, {pad, pad, pad, pad});
    const auto draws = random_.integers(DrawFor::crop, step, 2 * count, 2 * pad + 1);
    at::Tensor result = at::empty_like(images);
    for (std::int64_t i = 0; i < count; ++i) {
      const auto top = draws[static_cast<std::size_t>(2 * i)];
      const auto left = draws[static_cast<std::size_t>(2 * i + 1)];
      result.select(0, i).copy_(padded.select(0, i).narrow(1, top, size).narrow(2, left, size));
    }
    return result;
  }
  bool flip_;
  int crop_;
  TrainingRandom random_;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Gathers the steps between two reports.
class Reporter {
 public:
  Reporter(const TrainingProgressFunction& progress, std::int64_t steps, std::int64_t batch_size)
      : progress_(progress), steps_(steps), batch_size_(batch_size) {}

  void step(std::int64_t done, double loss, double accuracy, double learning_rate) {
    ++count_;
    loss_ += loss;
    accuracy_ += accuracy;
    if (done % report_every != 0 && done != steps_) return;
    const double elapsed = seconds_since(start_);
    const auto count = static_cast<double>(count_);
    if (progress_) {
      progress_({.step = done,
                 .of = steps_,
                 .resumed_from = 0,
                 .elapsed_seconds = elapsed,
                 .samples_per_second =
                     count * static_cast<double>(batch_size_) / std::max(elapsed - last_, 1e-9),
                 .values = {{"loss", loss_ / count},
                            {"accuracy", accuracy_ / count},
                            {"learning_rate", learning_rate}}});
    }
    last_ = elapsed;
    loss_ = accuracy_ = 0;
    count_ = 0;
  }

 private:
  const TrainingProgressFunction& progress_;
  std::int64_t steps_, batch_size_, count_ = 0;
  double loss_ = 0, accuracy_ = 0, last_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

double accuracy_of(const at::Tensor& logits, const at::Tensor& labels) {
  return logits.argmax(1).eq(labels).to(at::kFloat).mean().item<double>();
}

ClassificationResult count(const FeatureNetwork& network, const DataSet& data,
                           const std::stop_token& stop) {
  const at::NoGradGuard no_grad;
  constexpr std::int64_t at_a_time = 512;
  const DataInfo& info = data.info();
  const std::int64_t classes = info.num_classes;
  at::Tensor counts = at::zeros({classes * classes}, at::kLong);
  for (std::int64_t first = 0; first < info.size; first += at_a_time) {
    if (stop.stop_requested()) throw Cancelled("the classifier's test was stopped");
    std::vector<std::int64_t> numbers(
        static_cast<std::size_t>(std::min(at_a_time, info.size - first)));
    std::iota(numbers.begin(), numbers.end(), first);
    const DataBatch batch = data.batch(numbers);
    const at::Tensor probabilities = network.extract(batch.x).probabilities;
    if (probabilities.size(1) != classes) {
      throw InputError(
          fmt::format("the classifier knows {} classes, {} has {}: use data of the "
                      "same kind",
                      probabilities.size(1), info.description, classes));
    }
    counts += at::bincount(batch.y * classes + probabilities.argmax(1), {}, classes * classes);
  }
  ClassificationResult result{.confusion = counts.view({classes, classes})};
  result.accuracy = result.confusion.diagonal().sum().item<double>() /
                    static_cast<double>(std::max<std::int64_t>(info.size, 1));
  return result;
}

}  // namespace

ClassifierTrainer::ClassifierTrainer(std::shared_ptr<const DataSet> data,
                                     const ClassifierTrainingOptions& options)
    : data_(std::move(data)), options_(options) {
  if (!data_) throw InputError("a classifier's training needs a data set");
  const DataInfo& info = data_->info();
  check_options(options, info);
  config_ = {.channels = info.channels,
             .image_size = info.image_size,
             .num_classes = info.num_classes,
             .widths = options.widths};
  check_classifier_config(config_, fmt::format("a classifier of {}", info.description));
  steps_ = options.epochs * std::max<std::int64_t>(info.size / options.batch_size, 1);
}

double ClassifierTrainer::learning_rate(std::int64_t step) const {
  const double warm = std::round(options_.warm_up * static_cast<double>(steps_));
  const auto now = static_cast<double>(step);
  if (now < warm) return options_.learning_rate * (now + 1) / warm;
  const double share = (now - warm) / (static_cast<double>(steps_) - warm);
  return options_.learning_rate * (1 + std::cos(std::numbers::pi * share)) / 2;
}

std::shared_ptr<const Classifier> ClassifierTrainer::run(const TrainingProgressFunction& progress,
                                                         const std::stop_token& stop) const {
  std::shared_ptr<const Classifier> classifier;
  with_our_errors("try a smaller batch size, or less wide convolutions",
                  [&] { classifier = train(progress, stop); });
  return classifier;
}

std::shared_ptr<const Classifier> ClassifierTrainer::train(const TrainingProgressFunction& progress,
                                                           const std::stop_token& stop) const {
  const c10::InferenceMode no_inference(false);
  const at::AutoGradMode with_gradients(true);
  const TrainingRandom random(options_.seed);
  ClassifierNetwork network(config_, random);
  AdamW decayed(network.decayed(), {.weight_decay = options_.weight_decay});
  AdamW undecayed(network.undecayed(), {});
  DataOrder order(random, data_->info().size, options_.batch_size);
  const Augmentation augmentation(options_, random);
  Reporter reporter(progress, steps_, options_.batch_size);
  for (std::int64_t step = 0; step < steps_; ++step) {
    if (stop.stop_requested()) {
      throw Cancelled(fmt::format(
          "the classifier's training was stopped after {} of {} steps; nothing was written", step,
          steps_));
    }
    const DataBatch batch = data_->batch(order.batch(step));
    const at::Tensor logits = network.forward(augmentation.apply(batch.x, step), true);
    const at::Tensor loss = at::cross_entropy_loss(logits, batch.y, {}, at::Reduction::Mean,
                                                   /*ignore_index=*/-100, options_.label_smoothing);
    const auto value = loss.item<double>();
    if (!std::isfinite(value)) {
      throw RunError(fmt::format(
          "the classifier's loss is not finite at step {}: train with a lower learning rate than "
          "{}",
          step + 1, options_.learning_rate));
    }
    loss.backward();
    const double rate = learning_rate(step);
    decayed.step(rate);
    undecayed.step(rate);
    reporter.step(step + 1, value, accuracy_of(logits.detach(), batch.y), rate);
  }
  return network.fold();
}

ClassificationResult classify(const FeatureNetwork& network, const DataSet& data,
                              const std::stop_token& stop) {
  ClassificationResult result;
  with_our_errors("close other programs, or use smaller images",
                  [&] { result = count(network, data, stop); });
  return result;
}

void check_test_data(const DataInfo& training, const DataInfo& test) {
  const auto kind = [](const DataInfo& info) {
    return fmt::format("{} channels of {} x {} in {} classes", info.channels, info.image_size,
                       info.image_size, info.num_classes);
  };
  if (training.channels != test.channels || training.image_size != test.image_size ||
      training.num_classes != test.num_classes) {
    throw InputError(
        fmt::format("the test data ({}) have {}, the training's ({}) {}: test with data of the "
                    "same kind",
                    test.description, kind(test), training.description, kind(training)));
  }
  const bool named = !training.class_names.empty() && !test.class_names.empty();
  for (std::size_t k = 0; named && k < training.class_names.size(); ++k) {
    if (training.class_names[k] == test.class_names[k]) continue;
    throw InputError(fmt::format(
        "class {} is \"{}\" in the test data ({}), \"{}\" in the training's ({}): name the class "
        "folders alike",
        k, test.class_names[k], test.description, training.class_names[k], training.description));
  }
}

}  // namespace l2c
