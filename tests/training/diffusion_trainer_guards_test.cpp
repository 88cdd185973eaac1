// What must not go wrong, and what goes on all the same: numbers that are not finite, modes of the
// caller, folders of before.
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <new>
#include <stop_token>
#include <string>
#include <vector>

#include "diffusion_support.h"
#include "l2c/core/error.h"
#include "l2c/io/file.h"
#include "l2c/io/safetensors.h"
#include "l2c/models/dit.h"
#include "l2c/training/diffusion_trainer.h"
#include "l2c/training/run_folder.h"
#include "router_support.h"
#include "support/golden.h"

namespace l2c {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::ThrowsMessage;
using namespace test;
using Options = DiffusionTrainingOptions;

// Those that are not finite.
std::vector<std::string> broken(const io::TensorMap& tensors) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    if (!at::isfinite(tensor).all().item<bool>()) names.push_back(name);
  }
  return names;
}

TEST(DiffusionTrainerGuards, ADivergingLossKeepsTheLastCheckpoint) {
  auto options = quick();
  options.steps = 200;
  options.save_every = 1;
  options.learning_rate = 1e30;
  const auto folder = scratch() / "run";
  DiffusionTrainer trainer(small(), std::make_shared<Squares>(), options, folder);
  EXPECT_THAT([&] { trainer.run(); }, ThrowsMessage<RunError>(HasSubstr("is not finite")));
  const auto kept = read(folder / "checkpoint-00000001.safetensors");
  EXPECT_THAT(broken(kept), testing::IsEmpty());
  EXPECT_THAT(broken(read(folder / "model.safetensors")), testing::IsEmpty());
  EXPECT_FALSE(fs::exists(folder / "checkpoint-00000002.safetensors"));
}

// The loss and the gradients of the step were fine: only its weights are not.
TEST(DiffusionTrainerGuards, WeightsThatAreNotFiniteAreNotSaved) {
  auto options = quick();
  options.steps = 1;
  options.learning_rate = 1e39;
  const auto folder = scratch() / "run";
  DiffusionTrainer trainer(small(), std::make_shared<Squares>(), options, folder);
  EXPECT_THAT([&] { trainer.run(); },
              ThrowsMessage<RunError>(HasSubstr(" is not finite after step 1")));
  EXPECT_FALSE(fs::exists(folder / "checkpoint-00000001.safetensors"));
  EXPECT_FALSE(fs::exists(folder / "model.safetensors"));
}

// Saves weights whose output is finite, but whose gradient is not: the last layer's are tiny, what
// they are multiplied with is huge.
void save_steep_weights(const DiTConfig& config, const Options& options, const fs::path& folder) {
  DiffusionTrainer(config, std::make_shared<Squares>(), options, folder).run();
  const auto last = folder / "checkpoint-00000012.safetensors";
  auto tensors = read(last);
  auto& weight = tensors.at("model.final_layer.linear.weight");
  weight = at::linspace(-1e-34, 1e-34, weight.numel()).view(weight.sizes());
  auto& modulation = tensors.at("model.final_layer.adaLN_modulation.1.bias");
  modulation.narrow(0, config.hidden_size, config.hidden_size).fill_(1e38);  // its scale
  const auto settings = io::SafetensorsFile::open(last).metadata().at("settings");
  RunFolder(folder).save(13, tensors, TrainingSettings::from_json(settings, "last"));
}

TEST(DiffusionTrainerGuards, AGradientThatIsNotFiniteStopsBeforeTheWeightsChange) {
  auto config = small();
  config.learn_sigma = false;
  for (const bool clips : {false, true}) {
    auto options = quick();
    if (clips) options.clip_norm = 1;
    const auto folder = scratch() / "run";
    save_steep_weights(config, options, folder);
    options.steps = 14;
    DiffusionTrainer trainer(config, std::make_shared<Squares>(), options, folder);
    EXPECT_THAT([&] { trainer.run(); },
                ThrowsMessage<RunError>(HasSubstr("the gradients' norm of step 14 is not finite")));
    EXPECT_EQ(trainer.step(), 13);
    EXPECT_FALSE(fs::exists(folder / "checkpoint-00000014.safetensors"));
  }
}

// Gives, once, a label that the model does not have: in the batch's second half.
class OnceWrong final : public Squares {
 public:
  [[nodiscard]] DataBatch batch(c10::ArrayRef<std::int64_t> numbers) const override {
    DataBatch batch = Squares::batch(numbers);
    if (++batches == 3) batch.y[7].fill_(99);
    return batch;
  }
  mutable int batches = 0;
};

TEST(DiffusionTrainerGuards, GradientsOfAFailedStepAreDropped) {
  auto options = quick();
  options.micro_batch = 4;
  auto config = small();
  config.class_dropout_prob = 0;
  const auto folder = scratch() / "run";
  DiffusionTrainer trainer(config, std::make_shared<OnceWrong>(), options, folder);
  EXPECT_THAT([&] { trainer.run(); }, ThrowsMessage<RunError>(HasSubstr("LibTorch failed")));
  EXPECT_EQ(trainer.step(), 2);
  trainer.run();
  EXPECT_TRUE(same(read(folder / "model.safetensors"), train(options, config)));
}

TEST(DiffusionTrainerGuards, TheCallersModesChangeNothing) {
  const auto expected = train(quick());
  {
    const c10::InferenceMode inference;
    EXPECT_TRUE(same(train(quick()), expected));
  }
  const at::NoGradGuard no_grad;
  EXPECT_TRUE(same(train(quick()), expected));
}

class NoMemory final : public Squares {
 public:
  [[nodiscard]] const DataInfo& info() const override { throw std::bad_alloc(); }
};

TEST(DiffusionTrainerGuards, TheConstructorSpeaksInOurErrors) {
  EXPECT_THAT(
      [] { DiffusionTrainer(small(), std::make_shared<NoMemory>(), quick(), scratch() / "run"); },
      ThrowsMessage<RunError>(HasSubstr("out of memory: try a smaller batch")));
  EXPECT_THAT([] { DiffusionTrainer(small(), nullptr, quick(), scratch() / "run"); },
              ThrowsMessage<InputError>(HasSubstr("needs data")));
}

TEST(DiffusionTrainerGuards, InformationIsNoDifference) {
  const auto folder = scratch() / "run";
  DiffusionTrainer(small(), std::make_shared<Squares>(), quick(), folder).run();
  auto data = std::make_shared<Squares>();
  data->info_.description = "./squares";
  auto options = quick();
  options.report_every = 3;
  options.steps = 18;
  DiffusionTrainer(small(), data, options, folder).run();
  EXPECT_TRUE(same(read(folder / "model.safetensors"), [&] {
    auto whole = quick();
    whole.steps = 18;
    return train(whole);
  }()));
}

// As the first release wrote it: what are notes today were settings.
TEST(DiffusionTrainerGuards, ACheckpointFromBeforeTheNotesResumes) {
  const auto folder = scratch() / "run";
  DiffusionTrainer(small(), std::make_shared<Squares>(), quick(), folder).run();
  const auto tensors = read(folder / "checkpoint-00000012.safetensors");
  auto json = io::SafetensorsFile::open(folder / "checkpoint-00000012.safetensors")
                  .metadata()
                  .at("settings");
  const std::string notes = "\"notes\":{";
  json.replace(json.find(notes), notes.size(), "");
  json = json.substr(0, json.find(",\"libtorch\"")) + "}";
  ASSERT_THAT(json, testing::EndsWith(
                        R"("device":"cpu","data_description":"squares","report_every":"4"})"));
  RunFolder(folder).save(12, tensors, TrainingSettings::from_json(json, "old"));
  auto options = quick();
  options.steps = 20;
  options.report_every = 5;
  const LogCapture log;
  DiffusionTrainer(small(), std::make_shared<Squares>(), options, folder).run();
  EXPECT_EQ(log.warnings, "");
  EXPECT_TRUE(same(read(folder / "model.safetensors"), train(options)));
}

TEST(DiffusionTrainerGuards, AnotherNumberOfThreadsIsLogged) {
  const auto folder = scratch() / "run";
  const int before = at::get_num_threads();
  DiffusionTrainer(small(), std::make_shared<Squares>(), quick(), folder).run();
  const LogCapture log;
  { const DiffusionTrainer same(small(), std::make_shared<Squares>(), quick(), folder); }
  EXPECT_EQ(log.warnings, "");
  at::set_num_threads(before + 1);
  { const DiffusionTrainer other(small(), std::make_shared<Squares>(), quick(), folder); }
  at::set_num_threads(before);
  EXPECT_THAT(log.warnings, HasSubstr("threads was " + std::to_string(before) + ", now " +
                                      std::to_string(before + 1)));
}

TEST(DiffusionTrainerGuards, DataOfAPathThatIsNotUtf8) {
  const auto folder = scratch() / "run";
  auto data = std::make_shared<Squares>();
  data->info_.description = "from caf\xe9/squares";
  DiffusionTrainer(small(), data, quick(), folder).run();
  EXPECT_EQ(DiffusionTrainer(small(), data, quick(), folder).step(), 12);
  EXPECT_THAT(io::SafetensorsFile::open(folder / "model.safetensors").metadata().at("training"),
              HasSubstr("from caf\xEF\xBF\xBD/squares"));
}

// Stops while a batch is fetched.
class StopsAt final : public Squares {
 public:
  explicit StopsAt(int number) : left(number) {}
  [[nodiscard]] DataBatch batch(c10::ArrayRef<std::int64_t> numbers) const override {
    if (--left == 0) source.request_stop();
    return Squares::batch(numbers);
  }
  mutable int left;
  mutable std::stop_source source;
};

TEST(DiffusionTrainerGuards, SpeedIsOfThisProcessOnly) {
  const auto folder = scratch() / "run";
  {  // Three steps wait for their row of the curve.
    const auto data = std::make_shared<StopsAt>(3);
    DiffusionTrainer trainer(small(), data, quick(), folder);
    EXPECT_THROW(trainer.run({}, data->source.get_token()), Cancelled);
  }
  std::vector<TrainingProgress> rows;
  DiffusionTrainer trainer(small(), std::make_shared<Squares>(), quick(), folder);
  trainer.run([&](const TrainingProgress& row) { rows.push_back(row); });
  ASSERT_EQ(rows[0].step, 4);
  EXPECT_EQ(rows[0].resumed_from, 3);
  EXPECT_NEAR(rows[0].samples_per_second * rows[0].elapsed_seconds, 1 * 8, 1e-6);
  EXPECT_NEAR(rows[1].samples_per_second * (rows[1].elapsed_seconds - rows[0].elapsed_seconds),
              4 * 8, 1e-6);
}

TEST(DiffusionTrainerGuards, TheCurveHasTheGradientsNormWithoutClipping) {
  std::vector<TrainingProgress> rows;
  DiffusionTrainer(small(), std::make_shared<Squares>(), quick(), scratch() / "run")
      .run([&](const TrainingProgress& row) { rows.push_back(row); });
  ASSERT_EQ(rows[0].values[3].first, "gradient_norm");
  EXPECT_GT(rows[0].values[3].second, 0);
}

}  // namespace
}  // namespace l2c
