// l2c train-classifier: the network that evaluation takes its features from.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <memory>
#include <optional>
#include <string>

#include "commands.h"
#include "console.h"
#include "interrupt.h"
#include "l2c/core/build_info.h"
#include "l2c/core/error.h"
#include "l2c/datasets/dataset.h"
#include "l2c/evaluation/classifier_trainer.h"
#include "l2c/io/safetensors.h"
#include "outputs.h"

namespace l2c::cli {

namespace {

struct TrainClassifierOptions {
  std::string data;
  DataOptions train;
  std::string test_data;
  std::string out;
  ClassifierTrainingOptions training;
  bool no_flip = false;
  std::optional<int> threads;
};

// The data's own test part; --test-data names other data (all of it: it need not have parts).
std::shared_ptr<const DataSet> open_test_data(const TrainClassifierOptions& options) {
  DataOptions test = options.train;
  if (!options.test_data.empty()) return open_data(options.test_data, test);
  test.split = "test";
  return open_data(options.data, test);
}

std::string class_name(const DataInfo& info, std::int64_t label) {
  const auto at = static_cast<std::size_t>(label);
  return at < info.class_names.size() ? info.class_names[at] : fmt::format("class {}", label);
}

// For each class: how many of its images were known, and what they were most often taken for.
std::string confusion_table(const ClassificationResult& result, const DataInfo& info) {
  std::string table;
  for (std::int64_t label = 0; label < info.num_classes; ++label) {
    at::Tensor row = result.confusion[label].clone();
    const auto all = row.sum().item<std::int64_t>();
    const auto right = row[label].item<std::int64_t>();
    table += fmt::format("  {:<14} {:>6} of {}", class_name(info, label), right, all);
    row[label] = 0;
    const auto other = row.argmax().item<std::int64_t>();
    const auto wrong = row[other].item<std::int64_t>();
    if (wrong > 0) table += fmt::format(", {} taken for {}", wrong, class_name(info, other));
    table += '\n';
  }
  return table;
}

ClassificationResult measure(const Classifier& classifier, const DataSet& test,
                             const std::string& saved, const std::stop_token& stop) {
  try {
    return classify(classifier, test, stop);
  } catch (const Cancelled& cancelled) {
    throw Cancelled(fmt::format("{}; the trained classifier is in '{}'", cancelled.what(), saved));
  }
}

void train_classifier(TrainClassifierOptions options) {
  check_outputs({options.out}, {options.data, options.test_data});
  const Interrupt interrupt;
  if (options.threads) set_threads(*options.threads);
  options.training.flip = !options.no_flip;
  const auto data = open_data(options.data, options.train);
  const auto test = open_test_data(options);
  check_test_data(data->info(), test->info());
  const ClassifierTrainer trainer(data, options.training);
  complain(fmt::format("training on {}, {} steps", data->info().description, trainer.steps()));
  const auto classifier = trainer.run(show_training, interrupt.token());
  io::Metadata metadata{{"trained_on", data->info().fingerprint},
                        {"seed", fmt::format("{}", options.training.seed)}};
  // Before the test, so that whatever happens to that does not cost the training.
  classifier->save(options.out, metadata);
  const auto result = measure(*classifier, *test, options.out, interrupt.token());
  metadata["test_accuracy"] = fmt::format("{:.4f}", result.accuracy);
  classifier->save(options.out, metadata);
  say(fmt::format("{:.2f} % of {} known:\n{}wrote {}: {}", 100 * result.accuracy,
                  test->info().description, confusion_table(result, test->info()), options.out,
                  classifier->description()));
}

void add_data_options(CLI::App& app, TrainClassifierOptions& options) {
  app.add_option("--data", options.data,
                 "images with labels: an MNIST-like folder, a folder of class folders, or a "
                 ".safetensors file")
      ->required();
  app.add_option("--test-data", options.test_data,
                 "where the accuracy is measured (default: the test part of --data)");
  app.add_option("--image-size", options.train.image_size,
                 "crop and resize a folder's images to it (default: as they are)");
  app.add_option("--channels", options.train.channels,
                 "of a folder's images: 1 (gray) or 3 (RGB, the default)");
  app.add_option("--out", options.out, "the classifier: a .safetensors file")->required();
}

void add_training_options(CLI::App& app, TrainClassifierOptions& options) {
  ClassifierTrainingOptions& training = options.training;
  app.add_option("--epochs", training.epochs, "passes over the data")->capture_default_str();
  app.add_option("--batch-size", training.batch_size, "images a step")->capture_default_str();
  app.add_option("--lr", training.learning_rate, "learning rate: the highest")
      ->capture_default_str();
  app.add_option("--warmup", training.warm_up,
                 "share of the steps in which the learning rate rises; then a cosine down to 0")
      ->capture_default_str();
  app.add_option("--weight-decay", training.weight_decay, "decoupled")->capture_default_str();
  app.add_option("--label-smoothing", training.label_smoothing, "0: none")->capture_default_str();
  app.add_flag("--no-flip", options.no_flip, "do not mirror half of the images");
  app.add_option("--crop", training.crop, "shift images by up to so many pixels; 0: not")
      ->capture_default_str();
  app.add_option("--widths", training.widths, "channels of the four convolutions, comma separated")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--seed", training.seed, "of weights, order and augmentation")
      ->capture_default_str();
  app.add_option("--threads", options.threads, "CPU threads (default: all cores)");
}

}  // namespace

void add_train_classifier(CLI::App& app) {
  auto* command =
      app.add_subcommand("train-classifier", "Train the network that evaluation measures with.");
  auto options = std::make_shared<TrainClassifierOptions>();
  add_data_options(*command, *options);
  add_training_options(*command, *options);
  command->footer(
      "Example:\n  l2c train-classifier --data /usr/share/datasets/fashion-mnist \\\n"
      "    --out classifier.safetensors --epochs 10 --threads 1");
  command->callback([options] { train_classifier(*options); });
}

}  // namespace l2c::cli
