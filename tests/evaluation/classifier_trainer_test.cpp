#include "l2c/evaluation/classifier_trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <new>
#include <set>

#include "evaluation_support.h"
#include "l2c/core/error.h"
#include "l2c/diffusion/noise.h"
#include "patterns.h"
#include "support/golden.h"

namespace l2c {
namespace {

using test::expect_equal;
using test::patterns;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

ClassifierTrainingOptions quick() {
  return {.epochs = 3, .batch_size = 16, .crop = 1, .widths = {4, 8, 8, 8}};
}

std::shared_ptr<const Classifier> train(const ClassifierTrainingOptions& options) {
  return ClassifierTrainer(patterns(), options).run();
}

TEST(ClassifierNetwork, FoldedInferenceIsTheTrainingGraphInEvalMode) {
  const ClassifierConfig config{.image_size = 12, .num_classes = 5, .widths = {4, 6, 8, 7}};
  ClassifierNetwork network(config, TrainingRandom(7));
  const at::Tensor x = philox_normal(1, 0, 0, {20, 1, 12, 12}) * 2 + 0.5;
  {
    // Statistics and affine parameters that are not those of the start.
    const at::NoGradGuard no_grad;
    for (auto& parameter : network.undecayed()) {
      parameter.value.add_(philox_normal(2, 0, 0, parameter.value.sizes()), 0.2);
    }
    for (int i = 0; i < 5; ++i) (void)network.forward(x, true);
  }
  const at::NoGradGuard no_grad;
  const at::Tensor graph = network.forward(x, false);
  test::expect_close(network.fold()->extract(x).probabilities, graph.softmax(1), 1e-5,
                     "folded classifier");
  EXPECT_GT(test::relative_error(network.forward(x, true), graph), 0.01);
}

TEST(ClassifierNetwork, EveryParameterHasAGradientAndIsListedOnce) {
  ClassifierNetwork network({.image_size = 8, .num_classes = 3, .widths = {4, 4, 4, 4}},
                            TrainingRandom(0));
  network.forward(philox_normal(1, 0, 0, {4, 1, 8, 8}), true).square().sum().backward();
  std::set<std::string> names;
  for (const auto& list : {network.decayed(), network.undecayed()}) {
    for (const auto& [name, value] : list) {
      EXPECT_TRUE(names.insert(name).second) << name;
      EXPECT_TRUE(value.grad().defined()) << name;
    }
  }
  EXPECT_EQ(names.size(), 4U * 3 + 2);
}

TEST(ClassifierTrainer, LearnsPatterns) {
  ClassifierTrainingOptions options = quick();
  options.epochs = 20;
  options.label_smoothing = 0;
  options.crop = 0;
  std::vector<double> losses;
  const auto data = patterns();
  const auto classifier =
      ClassifierTrainer(data, options).run([&](const TrainingProgress& progress) {
        losses.push_back(progress.values.at(0).second);
      });
  ASSERT_EQ(losses.size(), 2U);  // after step 100 and 120
  EXPECT_LT(losses[1], 0.5 * losses[0]);
  EXPECT_GT(classify(*classifier, *data).accuracy, 0.95);
}

TEST(ClassifierTrainer, ReportsItsProgress) {
  std::vector<TrainingProgress> reports;
  const ClassifierTrainer trainer(patterns(), quick());
  (void)trainer.run([&](const TrainingProgress& progress) { reports.push_back(progress); });
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].step, 3 * 6);
  EXPECT_EQ(reports[0].of, trainer.steps());
  EXPECT_GT(reports[0].samples_per_second, 0);
  ASSERT_EQ(reports[0].values.size(), 3U);
  EXPECT_EQ(reports[0].values[0].first, "loss");
  EXPECT_EQ(reports[0].values[1].first, "accuracy");
  EXPECT_EQ(reports[0].values[2].first, "learning_rate");
  EXPECT_EQ(reports[0].values[2].second, trainer.learning_rate(17));
}

TEST(ClassifierTrainer, SameSeedSameBits) {
  const auto a = train(quick()), b = train(quick());
  for (const auto& [name, value] : a->weights()) expect_equal(b->weights().at(name), value, name);
}

TEST(ClassifierTrainer, WorksInInferenceMode) {
  const c10::InferenceMode inference;
  EXPECT_EQ(train(quick())->fingerprint(), train(quick())->fingerprint());
}

TEST(ClassifierTrainer, EveryOptionChangesTheResult) {
  std::set<std::string> seen{train(quick())->fingerprint()};
  const auto changes = [&](const char* name,
                           const std::function<void(ClassifierTrainingOptions&)>& change) {
    ClassifierTrainingOptions options = quick();
    change(options);
    EXPECT_TRUE(seen.insert(train(options)->fingerprint()).second) << name;
  };
  changes("epochs", [](auto& o) { o.epochs = 4; });
  changes("batch_size", [](auto& o) { o.batch_size = 24; });
  changes("learning_rate", [](auto& o) { o.learning_rate = 0.003; });
  changes("warm_up", [](auto& o) { o.warm_up = 0.5; });
  changes("weight_decay", [](auto& o) { o.weight_decay = 0; });
  changes("label_smoothing", [](auto& o) { o.label_smoothing = 0; });
  changes("flip", [](auto& o) { o.flip = false; });
  changes("crop", [](auto& o) { o.crop = 0; });
  changes("crop", [](auto& o) { o.crop = 2; });
  changes("widths", [](auto& o) { o.widths = {4, 8, 8, 9}; });
  changes("seed", [](auto& o) { o.seed = 1; });
}

TEST(ClassifierTrainer, LearningRateRisesThenFalls) {
  ClassifierTrainingOptions options = quick();
  options.epochs = 10;  // 60 steps
  options.learning_rate = 0.5;
  options.warm_up = 0.2;
  const ClassifierTrainer trainer(patterns(), options);
  EXPECT_DOUBLE_EQ(trainer.learning_rate(0), 0.5 / 12);
  EXPECT_DOUBLE_EQ(trainer.learning_rate(11), 0.5);
  EXPECT_DOUBLE_EQ(trainer.learning_rate(12), 0.5);
  EXPECT_DOUBLE_EQ(trainer.learning_rate(36), 0.25);
  EXPECT_LT(trainer.learning_rate(59), 0.001);
  EXPECT_GT(trainer.learning_rate(59), 0);
  options.warm_up = 0;
  EXPECT_DOUBLE_EQ(ClassifierTrainer(patterns(), options).learning_rate(0), 0.5);
  options.warm_up = 1;
  EXPECT_DOUBLE_EQ(ClassifierTrainer(patterns(), options).learning_rate(59), 0.5);
}

TEST(ClassifierTrainer, StopsWhenAsked) {
  std::stop_source stop;
  ClassifierTrainingOptions options = quick();
  options.epochs = 40;
  const ClassifierTrainer trainer(patterns(), options);
  EXPECT_THAT(
      [&] { (void)trainer.run([&](const auto&) { stop.request_stop(); }, stop.get_token()); },
      ThrowsMessage<Cancelled>(HasSubstr("stopped after 100 of 240 steps; nothing was written")));
}

TEST(ClassifierTrainer, ProgressMayThrow) {
  const ClassifierTrainer trainer(patterns(), quick());
  EXPECT_THAT([&] { (void)trainer.run([](const auto&) { throw RunError("enough"); }); },
              ThrowsMessage<RunError>("enough"));
}

TEST(ClassifierTrainer, RefusesOptionsOutsideTheirRange) {
  const auto refuses = [](const std::function<void(ClassifierTrainingOptions&)>& change,
                          const testing::Matcher<std::string>& message) {
    ClassifierTrainingOptions options = quick();
    change(options);
    EXPECT_THAT([&] { ClassifierTrainer(patterns(), options); },
                ThrowsMessage<InputError>(message));
  };
  refuses([](auto& o) { o.epochs = 0; }, HasSubstr("epochs of a classifier's training is 0"));
  refuses([](auto& o) { o.batch_size = 1; }, HasSubstr("batch_size"));
  refuses([](auto& o) { o.learning_rate = 0; }, HasSubstr("learning_rate"));
  refuses([](auto& o) { o.learning_rate = std::nan(""); }, HasSubstr("learning_rate"));
  refuses([](auto& o) { o.warm_up = 1.5; }, HasSubstr("warm_up"));
  refuses([](auto& o) { o.weight_decay = -1; }, HasSubstr("weight_decay"));
  refuses([](auto& o) { o.label_smoothing = 1; }, HasSubstr("label_smoothing"));
  refuses([](auto& o) { o.crop = 5; }, HasSubstr("crop"));
  refuses([](auto& o) { o.widths[2] = 0; }, AllOf(HasSubstr("patterns"), HasSubstr("width is 0")));
  EXPECT_THAT([] { ClassifierTrainer(nullptr, quick()); },
              ThrowsMessage<InputError>(HasSubstr("needs a data set")));
}

// Labels of data that an interface lets through, pixels that are not numbers.
class Broken : public DataSet {
 public:
  [[nodiscard]] const DataInfo& info() const override { return patterns_->info(); }
  [[nodiscard]] DataBatch batch(c10::ArrayRef<std::int64_t> numbers) const override {
    DataBatch batch = patterns_->batch(numbers);
    batch.x = batch.x / 0.0;
    return batch;
  }

 private:
  std::shared_ptr<const DataSet> patterns_ = patterns();
};

TEST(ClassifierTrainer, RefusesALossThatIsNotFinite) {
  const ClassifierTrainer trainer(std::make_shared<Broken>(), quick());
  EXPECT_THAT([&] { (void)trainer.run(); },
              ThrowsMessage<RunError>(AllOf(HasSubstr("not finite at step 1"), HasSubstr("0.01"))));
}

// Says class 0 for dark images, class 2 for the rest.
class Fixed : public FeatureNetwork {
 public:
  explicit Fixed(int classes) : classes_(classes) {}
  [[nodiscard]] Features extract(const at::Tensor& pixels) const override {
    const at::Tensor choice =
        pixels.select(1, 0).select(1, 4).select(1, 3).gt(0.0).to(at::kLong) * 2;
    return {.features = at::zeros({pixels.size(0), 1}),
            .probabilities = at::one_hot(choice, classes_).to(at::kFloat)};
  }
  [[nodiscard]] const std::string& fingerprint() const override { return name_; }
  [[nodiscard]] const std::string& description() const override { return name_; }

 private:
  int classes_;
  std::string name_ = "fixed";
};

TEST(Classify, CountsWhatIsTakenForWhat) {
  at::Tensor x = at::full({1000, 1, 8, 8}, -1.0);
  at::Tensor y = at::zeros({1000}, at::kLong);
  x.narrow(0, 100, 900) = 1.0;
  y.narrow(0, 90, 400) = 2;   // 10 of them dark
  y.narrow(0, 490, 510) = 1;  // always wrong
  const auto result = classify(Fixed(3), *tensor_data(x, y, 3, "shades"));
  expect_equal(result.confusion,
               at::tensor({90, 0, 0, 0, 0, 510, 10, 0, 390}, at::kLong).view({3, 3}), "confusion");
  EXPECT_DOUBLE_EQ(result.accuracy, 0.48);
  EXPECT_THAT([&] { (void)classify(Fixed(4), *tensor_data(x, y, 3, "shades")); },
              ThrowsMessage<InputError>(AllOf(HasSubstr("knows 4 classes"), HasSubstr("has 3"))));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THROW((void)classify(Fixed(3), *tensor_data(x, y, 3, "shades"), stop.get_token()),
               Cancelled);
}

// Gives batches of another shape than it says: LibTorch's convolution fails.
class Misshapen : public DataSet {
 public:
  [[nodiscard]] const DataInfo& info() const override { return patterns_->info(); }
  [[nodiscard]] DataBatch batch(c10::ArrayRef<std::int64_t> numbers) const override {
    DataBatch batch = patterns_->batch(numbers);
    batch.x = batch.x.repeat({1, 3, 1, 1});
    return batch;
  }

 private:
  std::shared_ptr<const DataSet> patterns_ = patterns();
};

TEST(ClassifierTrainer, TellsLibTorchsErrorsInOurTerms) {
  const auto ours = AllOf(HasSubstr("LibTorch failed"), testing::Not(HasSubstr("frame #")));
  const ClassifierTrainer trainer(std::make_shared<Misshapen>(), quick());
  EXPECT_THAT([&] { (void)trainer.run(); }, ThrowsMessage<RunError>(ours));
  const ClassifierTrainer too_large(patterns(), quick());
  EXPECT_THAT([&] { (void)too_large.run([](const auto&) { throw std::bad_alloc(); }); },
              ThrowsMessage<RunError>(HasSubstr("out of memory: try a smaller batch size")));
}

TEST(Classify, TellsLibTorchsErrorsInOurTerms) {
  EXPECT_THAT([] { (void)classify(test::BrokenNetwork(0), *patterns()); },
              ThrowsMessage<RunError>(test::our_libtorch_error()));
  EXPECT_THAT([] { (void)classify(test::BrokenNetwork(0, true), *patterns()); },
              ThrowsMessage<RunError>(HasSubstr("out of memory: close other programs")));
}

TEST(TestData, MustBeOfTheTrainingsKind) {
  const DataInfo training{.description = "photos",
                          .fingerprint = {},
                          .size = 9,
                          .channels = 3,
                          .image_size = 16,
                          .num_classes = 2,
                          .class_names = {"cat", "dog"}};
  const auto refuses = [&](const std::function<void(DataInfo&)>& change, const char* says) {
    DataInfo test = training;
    test.description = "others";
    change(test);
    EXPECT_THAT([&] { check_test_data(training, test); },
                ThrowsMessage<InputError>(
                    AllOf(HasSubstr("photos"), HasSubstr("others"), HasSubstr(says))));
  };
  EXPECT_NO_THROW(check_test_data(training, training));
  refuses([](auto& info) { info.channels = 1; }, "1 channels of 16 x 16 in 2 classes");
  refuses([](auto& info) { info.image_size = 8; }, "3 channels of 8 x 8 in 2 classes");
  refuses([](auto& info) { info.num_classes = 3; }, "3 channels of 16 x 16 in 3 classes");
  refuses([](auto& info) { info.class_names = {"cat", "cow"}; }, "class 1 is \"cow\"");
  DataInfo nameless = training;
  nameless.class_names.clear();
  EXPECT_NO_THROW(check_test_data(training, nameless));
}

}  // namespace
}  // namespace l2c
