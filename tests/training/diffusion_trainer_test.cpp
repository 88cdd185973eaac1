#include "l2c/training/diffusion_trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "diffusion_support.h"
#include "l2c/core/error.h"
#include "l2c/io/file.h"
#include "l2c/io/safetensors.h"
#include "l2c/models/dit.h"
#include "support/golden.h"

namespace l2c {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using namespace test;
using Options = DiffusionTrainingOptions;

TEST(DiffusionTrainer, TheLossFalls) {
  auto options = quick();
  options.steps = 150;
  options.report_every = 50;
  std::vector<TrainingProgress> rows;
  DiffusionTrainer trainer(small(), std::make_shared<Squares>(), options, test::scratch() / "run");
  trainer.run([&](const TrainingProgress& row) { rows.push_back(row); });
  ASSERT_EQ(rows.size(), 3);
  EXPECT_EQ(rows[0].values[1].first, "mse");
  EXPECT_NEAR(rows[0].values[0].second, rows[0].values[1].second + rows[0].values[2].second, 1e-9);
  EXPECT_LT(rows[2].values[1].second, 0.6 * rows[0].values[1].second);
  EXPECT_EQ(rows[2].step, 150);
  EXPECT_EQ(rows[2].of, 150);
  EXPECT_GT(rows[2].samples_per_second, 0);
}

TEST(DiffusionTrainer, WritesAModelThatLoads) {
  const auto folder = test::scratch() / "run";
  DiffusionTrainer(small(), std::make_shared<Squares>(), quick(), folder).run();
  const auto checkpoint = io::open_checkpoint(folder / "model.safetensors");
  const auto config = resolve_dit_config("", checkpoint);
  EXPECT_EQ(config, small());
  EXPECT_EQ(DiT::load(config, checkpoint)->info().num_classes, 2);
  const auto settings = checkpoint.metadata.at("training");
  for (const auto* name : {"learning_rate", "ema_decay", "clip_norm", "warmup_steps", "decay",
                           "ema_ramp", "dtype", "seed", "batch_size"}) {
    EXPECT_THAT(settings, HasSubstr(name));
  }
  EXPECT_EQ(checkpoint.metadata.at("training_steps"), "12");
  EXPECT_THAT(io::read_text(folder / "curve.csv"),
              testing::StartsWith("step,loss,mse,vb,gradient_norm,learning_rate\n4,"));
}

TEST(DiffusionTrainer, StoppedAndResumedGivesTheSameBits) {
  auto options = quick();
  options.decay = LearningRateDecay::cosine;
  options.clip_norm = 0.5;
  options.flip = true;
  const auto whole = test::scratch() / "whole";
  DiffusionTrainer(small(), std::make_shared<Squares>(), options, whole).run();

  const auto parts = test::scratch() / "parts";
  for (const int stop_at : {4, 8}) {  // reports: a stop takes effect after the step
    std::stop_source source;
    DiffusionTrainer trainer(small(), std::make_shared<Squares>(), options, parts);
    const auto stop = [&](const TrainingProgress& row) {
      if (row.step == stop_at) source.request_stop();
    };
    EXPECT_THAT([&] { trainer.run(stop, source.get_token()); },
                testing::ThrowsMessage<Cancelled>(HasSubstr("the same command goes on")));
  }
  // Killed between two saves: the steps since the last one are done again.
  DiffusionTrainer last(small(), std::make_shared<Squares>(), options, parts);
  EXPECT_EQ(last.step(), 8);
  last.run();
  EXPECT_TRUE(same(read(whole / "model.safetensors"), read(parts / "model.safetensors")));
  EXPECT_EQ(io::read_text(whole / "curve.csv"), io::read_text(parts / "curve.csv"));
  EXPECT_TRUE(same(read(whole / "checkpoint-00000012.safetensors"),
                   read(parts / "checkpoint-00000012.safetensors")));
}

TEST(DiffusionTrainer, AnExceptionFromTheCallbackLosesNoSave) {
  const auto folder = test::scratch() / "run";
  {
    DiffusionTrainer trainer(small(), std::make_shared<Squares>(), quick(), folder);
    EXPECT_THROW(trainer.run([](const TrainingProgress& row) {
      if (row.step == 8) throw std::runtime_error("mine");
    }),
                 std::runtime_error);
  }
  EXPECT_EQ(DiffusionTrainer(small(), std::make_shared<Squares>(), quick(), folder).step(), 5);
}

struct Change {
  const char* name;
  std::function<void(Options&)> apply;
};

class OptionChanges : public testing::TestWithParam<Change> {};

// Every option does something, and is named when a training resumes with another value.
TEST_P(OptionChanges, TheWeightsAndIsRefusedOnResume) {
  auto changed = quick();
  GetParam().apply(changed);
  const auto folder = test::scratch() / "run";
  DiffusionTrainer(small(), std::make_shared<Squares>(), quick(), folder).run();
  EXPECT_FALSE(same(read(folder / "model.safetensors"), train(changed)));
  EXPECT_THAT([&] { DiffusionTrainer(small(), std::make_shared<Squares>(), changed, folder); },
              testing::ThrowsMessage<InputError>(HasSubstr(GetParam().name)));
}

INSTANTIATE_TEST_SUITE_P(
    Training, OptionChanges,
    testing::Values(Change{"batch_size", [](Options& o) { o.batch_size = 6; }},
                    Change{"learning_rate", [](Options& o) { o.learning_rate = 2e-2; }},
                    Change{"warmup_steps", [](Options& o) { o.warmup_steps = 5; }},
                    Change{"decay", [](Options& o) { o.decay = LearningRateDecay::cosine; }},
                    Change{"weight_decay", [](Options& o) { o.weight_decay = 0.5; }},
                    Change{"clip_norm", [](Options& o) { o.clip_norm = 0.01; }},
                    Change{"ema_decay", [](Options& o) { o.ema_decay = 0.5; }},
                    Change{"ema_ramp", [](Options& o) { o.ema_ramp = true; }},
                    Change{"flip", [](Options& o) { o.flip = true; }},
                    Change{"dtype", [](Options& o) { o.bf16 = true; }},
                    Change{"seed", [](Options& o) { o.seed = 1; }}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(DiffusionTrainer, FinalRateChangesTheCosine) {
  auto a = quick();
  a.decay = LearningRateDecay::cosine;
  auto b = a;
  b.final_rate = 0.5;
  EXPECT_FALSE(same(train(a), train(b)));
  EXPECT_DOUBLE_EQ(learning_rate(a, 0), 1e-2);
  EXPECT_NEAR(learning_rate(a, 6), 1e-2 * (0.05 + 0.95 / 2), 1e-12);
  EXPECT_NEAR(learning_rate(b, 12), 0.5e-2, 1e-12);
}

TEST(DiffusionTrainer, MicroBatchesGiveTheSameGradients) {
  auto options = quick();
  const auto whole = train(options);
  options.micro_batch = 3;
  const auto parts = train(options);
  for (const auto& [name, value] : whole) {
    if (value.abs().max().item<float>() > 0) {
      test::expect_close(parts.at(name), value, 1e-2, "micro-batches of 3 against a batch of 8");
    }
  }
}

TEST(DiffusionTrainer, SavesTheModelAsBf16WhenAsked) {
  auto options = quick();
  const auto full = train(options);
  options.save_bf16 = true;
  const auto half = train(options);
  const auto& weights = half.at("blocks.0.mlp.fc1.weight");
  EXPECT_EQ(weights.scalar_type(), at::kBFloat16);
  test::expect_equal(weights, full.at("blocks.0.mlp.fc1.weight").to(at::kBFloat16), "weights");
  test::expect_equal(half.at("pos_embed"), full.at("pos_embed"), "positions stay exact");
}

TEST(DiffusionTrainer, LabelDropoutReachesTheNullLabel) {
  auto config = small();
  const auto moved = [&](double dropout) {
    config.class_dropout_prob = dropout;
    auto options = quick();
    options.steps = 30;
    const auto table = train(options, config).at("y_embedder.embedding_table.weight");
    auto fresh = options;
    fresh.steps = 1;
    fresh.learning_rate = 1e-30;
    const auto before = train(fresh, config).at("y_embedder.embedding_table.weight");
    return (table - before).abs().amax(1);
  };
  EXPECT_GT(moved(0.5)[2].item<float>(), 1e-3);
  const auto all_dropped = moved(1.0);
  EXPECT_LT(all_dropped[0].item<float>(), 1e-6);
  EXPECT_GT(all_dropped[2].item<float>(), 1e-3);
}

TEST(DiffusionTrainer, MoreStepsGoOnWithAConstantRate) {
  const auto folder = test::scratch() / "run";
  auto options = quick();
  DiffusionTrainer(small(), std::make_shared<Squares>(), options, folder).run();
  options.steps = 20;
  DiffusionTrainer(small(), std::make_shared<Squares>(), options, folder).run();
  EXPECT_TRUE(same(read(folder / "model.safetensors"), train(options)));
  options.steps = 15;
  EXPECT_THAT([&] { DiffusionTrainer(small(), std::make_shared<Squares>(), options, folder); },
              testing::ThrowsMessage<InputError>(HasSubstr("already at step 20")));
}

TEST(DiffusionTrainer, OtherDataOrModelAreRefused) {
  const auto folder = test::scratch() / "run";
  DiffusionTrainer(small(), std::make_shared<Squares>(), quick(), folder).run();
  auto data = std::make_shared<Squares>();
  data->info_.fingerprint = "4567";
  EXPECT_THAT([&] { DiffusionTrainer(small(), data, quick(), folder); },
              testing::ThrowsMessage<InputError>(HasSubstr("data: 0123 in the checkpoint")));
  auto config = small();
  config.depth = 3;
  EXPECT_THAT(
      [&] { DiffusionTrainer(config, std::make_shared<Squares>(), quick(), folder); },
      testing::ThrowsMessage<InputError>(HasSubstr("model.depth: 2 in the checkpoint, 3 now")));
}

TEST(DiffusionTrainer, DataThatDoNotFitAreRefused) {
  const auto make = [](const DiTConfig& config, std::shared_ptr<const DataSet> data) {
    DiffusionTrainer(config, std::move(data), quick(), test::scratch() / "run");
  };
  EXPECT_THAT([&] { make(small(), std::make_shared<Squares>(24, 3)); },
              testing::ThrowsMessage<InputError>(HasSubstr("with 3 channels")));
  EXPECT_THAT([&] { make(small(), std::make_shared<Squares>(0)); },
              testing::ThrowsMessage<InputError>(HasSubstr("nothing to train on")));
  auto config = small();
  config.num_classes = 1;
  EXPECT_THAT([&] { make(config, std::make_shared<Squares>()); },
              testing::ThrowsMessage<InputError>(HasSubstr("have 2 classes")));
}

TEST(DiffusionTrainer, OptionsOutOfRangeAreNamed) {
  const auto check = [](const std::function<void(Options&)>& change, const char* name) {
    auto options = quick();
    change(options);
    EXPECT_THAT([&] { check_options(options); },
                testing::ThrowsMessage<InputError>(HasSubstr(name)));
  };
  check([](Options& o) { o.steps = 0; }, "steps: 0 is not in 1 ... 10^12");
  check([](Options& o) { o.steps = 1'000'000'000'001; }, "10^12");
  check([](Options& o) { o.batch_size = 0; }, "batch_size");
  check([](Options& o) { o.micro_batch = -1; }, "micro_batch");
  check([](Options& o) { o.learning_rate = 0; }, "learning_rate");
  check([](Options& o) { o.warmup_steps = -1; }, "warmup_steps");
  check([](Options& o) { o.final_rate = 1.5; }, "final_rate");
  check([](Options& o) { o.weight_decay = -1; }, "weight_decay");
  check([](Options& o) { o.clip_norm = 0.0; }, "clip_norm");
  check([](Options& o) { o.ema_decay = 1; }, "ema_decay");
  check([](Options& o) { o.save_every = 0; }, "save_every");
  check([](Options& o) { o.report_every = 0; }, "report_every");
}

}  // namespace
}  // namespace l2c
