#include "l2c/training/router_trainer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "l2c/cache/policies.h"
#include "l2c/cache/pricing.h"
#include "l2c/core/error.h"
#include "l2c/core/log.h"
#include "l2c/datasets/dataset.h"
#include "l2c/io/file.h"
#include "l2c/io/png.h"
#include "l2c/io/safetensors.h"
#include "l2c/sampling/planning.h"
#include "router_support.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;
using namespace test;

TEST(RouterTrainer, ResumesToTheSameBits) {
  const auto whole = train(tiny_options(), test::scratch());
  const auto folder = test::scratch();
  EXPECT_THAT(stop_after(5, tiny_options(), folder, tiny_data()),
              AllOf(HasSubstr("after iteration 5 of 12"), HasSubstr(folder.string())));
  EXPECT_FALSE(fs::exists(folder / "router.safetensors"));
  const auto resumed = train(tiny_options(), folder);
  EXPECT_EQ(logits(resumed.router), logits(whole.router));
  EXPECT_EQ(resumed.router.info(), whole.router.info());
}

TEST(RouterTrainer, ResumesFromItsLastSaveAfterAKill) {
  const auto whole = train(tiny_options(), test::scratch());
  const auto folder = test::scratch();
  auto options = tiny_options();
  options.save_every = 3;
  options.report_every = 1;
  struct Killed {};
  const auto kill = [](const TrainingProgress& progress) {
    if (progress.step == 8) throw Killed();
  };
  EXPECT_THROW(RouterTrainer(test::tiny_model(), tiny_data(), options, folder).run(kill), Killed);
  RouterTrainer resumed(test::tiny_model(), tiny_data(), options, folder);
  EXPECT_EQ(resumed.iteration(), 6);
  EXPECT_EQ(logits(resumed.run().router), logits(whole.router));
}

TEST(RouterTrainer, ResumesTheStateOfATargetToTheSameBits) {
  auto options = tiny_options(24);
  options.spacing = "8";
  options.lambda.reset();
  options.target_speedup = 1.3;
  options.learning_rate = 0.1;
  const auto whole = train(options, test::scratch());
  ASSERT_GT(whole.lambda, 0);
  const auto folder = test::scratch();
  stop_after(41, options, folder, tiny_data());
  const auto resumed = train(options, folder);
  EXPECT_EQ(logits(resumed.router), logits(whole.router));
  EXPECT_EQ(resumed.lambda, whole.lambda);
  EXPECT_EQ(resumed.iterations, whole.iterations);
}

TEST(RouterTrainer, TheCurveHasNoHoleAfterAResume) {
  const auto whole = test::scratch();
  train(tiny_options(), whole);
  const auto folder = test::scratch();
  std::stop_source source;
  source.request_stop();  // after each iteration
  for (int i = 0; i < 12; ++i) {
    try {
      RouterTrainer(test::tiny_model(), tiny_data(), tiny_options(), folder)
          .run({}, source.get_token());
    } catch (const Cancelled&) {
    }
  }
  EXPECT_EQ(io::read_text(folder / "curve.csv"), io::read_text(whole / "curve.csv"));
}

TEST(RouterTrainer, MoreIterationsGoOnFewerAreRefused) {
  const auto whole = train(tiny_options(12), test::scratch());
  const auto folder = test::scratch();
  const auto part = train(tiny_options(7), folder);
  EXPECT_EQ(part.iterations, 7);
  EXPECT_NE(logits(part.router), logits(whole.router));
  const auto more = train(tiny_options(12), folder);
  EXPECT_EQ(logits(more.router), logits(whole.router));
  EXPECT_EQ(more.iterations, 12);
  EXPECT_THAT([&] { train(tiny_options(7), folder); },
              ThrowsMessage<InputError>(HasSubstr("iterations: 12 in the checkpoint")));
}

TEST(RouterTrainer, AFinishedTrainingWritesItsResultsAgain) {
  const auto folder = test::scratch();
  const auto first = train(tiny_options(), folder);
  ASSERT_EQ(first.files.size(), 3U);
  std::vector<std::string> before;
  for (const auto& file : first.files) {
    before.push_back(io::read_text(file));
    fs::remove(file);
  }
  const auto again = train(tiny_options(), folder);
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(io::read_text(again.files[i]), before[i]);
  }
}

TEST(RouterTrainer, EveryOptionChangesTheRouter) {
  const auto base = logits(train(tiny_options(), test::scratch()).router);
  ASSERT_EQ(logits(train(tiny_options(), test::scratch()).router), base);
  using Change = std::function<void(RouterTrainingOptions&)>;
  const std::vector<std::pair<std::string, Change>> changes{
      {"spacing", [](auto& o) { o.spacing = "10,10"; }},
      {"batch_size", [](auto& o) { o.batch_size = 5; }},
      {"learning_rate", [](auto& o) { o.learning_rate = 0.04; }},
      {"lambda", [](auto& o) { o.lambda = 0.5; }},
      {"label_dropout", [](auto& o) { o.label_dropout = 0.9; }},
      {"clamp", [](auto& o) { o.clamp = 2.2; }},
      {"dtype", [](auto& o) { o.dtype = "bf16"; }},
      {"flip", [](auto& o) { o.flip = true; }},
      {"seed", [](auto& o) { o.seed = 1; }},
  };
  for (const auto& [name, change] : changes) {
    auto options = tiny_options();
    change(options);
    const auto folder = test::scratch();
    EXPECT_NE(logits(train(options, folder).router), base) << name;
    EXPECT_THAT(
        [&] { train(tiny_options(), folder); },
        ThrowsMessage<InputError>(AllOf(HasSubstr(name + ":"), HasSubstr("other settings"))));
  }
}

TEST(RouterTrainer, OtherDataOrModelIsRefused) {
  const auto folder = test::scratch();
  train(tiny_options(), folder);
  EXPECT_THAT([&] { train(tiny_options(), folder, tiny_data(0.1F)); },
              ThrowsMessage<InputError>(HasSubstr("data: ")));
  EXPECT_THAT([&] { train(tiny_options(), folder, nullptr); },
              ThrowsMessage<InputError>(HasSubstr("in the checkpoint, own samples now")));
  const auto other = DiT::load(
      test::tiny_config(),
      io::open_checkpoint(test::data("dit_tiny/train_checkpoint.pt"), io::Weights::model));
  EXPECT_THAT([&] { RouterTrainer(other, tiny_data(), tiny_options(), folder); },
              ThrowsMessage<InputError>(HasSubstr("model: ")));
}

TEST(RouterTrainer, AFolderInUseIsRefused) {
  const auto folder = test::scratch();
  const RouterTrainer first(test::tiny_model(), tiny_data(), tiny_options(), folder);
  EXPECT_THAT([&] { RouterTrainer(test::tiny_model(), tiny_data(), tiny_options(), folder); },
              ThrowsMessage<InputError>(HasSubstr("another training")));
}

TEST(RouterTrainer, TheFileSaysWhatTheRouterIsFor) {
  const auto folder = test::scratch();
  auto options = tiny_options();
  options.threshold = 0.25;
  const auto result = train(options, folder);
  const auto router = Router::load(folder / "router.safetensors");
  EXPECT_EQ(logits(router), logits(result.router));
  EXPECT_EQ(router.rows(), 20);
  EXPECT_EQ(router.info().model_fingerprint, test::tiny_model()->info().fingerprint);
  EXPECT_EQ(router.info().spacing, "20");
  EXPECT_EQ(router.info().sampler, "ddim");
  EXPECT_EQ(router.info().threshold, 0.25);
  EXPECT_EQ(router.info().lambda, 1e-3);
  EXPECT_THAT(router.info().training,
              AllOf(HasSubstr("12 iterations of 4"), HasSubstr("12 made-up latents")));
  EXPECT_EQ(io::read_png(folder / "heat_map.png").channels, 3);
  EXPECT_THAT(
      io::read_text(folder / "curve.csv"),
      AllOf(testing::StartsWith("step,loss,mse,penalty,lambda,branches_on,ideal_speedup\n4,"),
            HasSubstr("\n12,")));
}

TEST(RouterTrainer, ProgressTellsBothPartsOfTheLoss) {
  std::vector<TrainingProgress> seen;
  RouterTrainer trainer(test::tiny_model(), tiny_data(), tiny_options(), test::scratch());
  const auto result = trainer.run([&](const TrainingProgress& p) { seen.push_back(p); });
  ASSERT_EQ(seen.size(), 3U);
  EXPECT_EQ(seen.back().step, 12);
  EXPECT_EQ(seen.back().of, 12);
  EXPECT_GT(seen.back().samples_per_second, 0);
  const auto& values = seen.back().values;
  ASSERT_EQ(values.size(), 6U);
  EXPECT_EQ(values[0].first, "loss");
  EXPECT_NEAR(values[0].second, values[1].second + values[2].second, 1e-9);
  EXPECT_GT(values[1].second, 0);
  // Lambda 1e-3 times the sum of 8 weights between 0 and 1.
  EXPECT_GT(values[2].second, 0);
  EXPECT_LT(values[2].second, 8e-3);
  EXPECT_EQ(values[4],
            std::make_pair(std::string("branches_on"), static_cast<double>(result.branches_on)));
  EXPECT_EQ(result.cache_step_branches, 80);
  EXPECT_EQ(values[5].second, result.ideal_speedup);
}

TEST(RouterTrainer, ALargerLambdaReusesMore) {
  auto options = tiny_options(80);
  options.spacing = "8";
  options.learning_rate = 0.3;
  options.batch_size = 2;
  std::vector<int> on;
  for (const double lambda : {0.0, 5e-4, 10.0}) {
    options.lambda = lambda;
    on.push_back(train(options, test::scratch()).branches_on);
  }
  EXPECT_GT(on[0], on[1]);
  EXPECT_GT(on[1], on[2]);
  EXPECT_EQ(on[2], 0);
}

TEST(RouterTrainer, MeetsATargetSpeedup) {
  auto options = tiny_options(400);
  options.lambda.reset();
  options.learning_rate = 0.1;
  options.batch_size = 2;
  options.target_speedup = 1.2;
  const auto model = test::tiny_model();
  const auto folder = test::scratch();
  const LogCapture log;
  const auto result = RouterTrainer(model, tiny_data(), options, folder).run();
  EXPECT_TRUE(result.target_reached);
  EXPECT_NEAR(result.ideal_speedup / 1.2, 1, 0.02);
  EXPECT_GE(result.iterations, 400);
  EXPECT_LT(result.iterations, 1200);
  EXPECT_EQ(result.router.info().lambda, result.lambda);
  EXPECT_EQ(log.warnings, "");
  // What the program promises for the file: the same number from outside.
  const auto router = Router::load(folder / "router.safetensors");
  const auto shape = plan_shape(model->info().blocks, "20", {}, "ddim");
  const auto plan = LearnedRouter(router, 0.1).plan(shape);
  EXPECT_EQ(price(*plan, model->cost()).ideal_speedup, result.ideal_speedup);
}

TEST(RouterTrainer, AMissedTargetIsSaid) {
  auto options = tiny_options(4);
  options.lambda.reset();
  options.target_speedup = 1.5;
  const LogCapture log;
  const auto result = train(options, test::scratch());
  EXPECT_FALSE(result.target_reached);
  EXPECT_EQ(result.iterations, 12);  // three times as many
  EXPECT_THAT(log.warnings, HasSubstr("target speed-up of 1.5 was missed: 1.0"));
}

TEST(RouterTrainer, OptionsOutOfTheirRange) {
  using Change = std::function<void(RouterTrainingOptions&)>;
  const std::vector<std::pair<std::string, Change>> changes{
      {"spacing \"1\" has 1 step", [](auto& o) { o.spacing = "1"; }},
      {"iterations 1000000000001", [](auto& o) { o.iterations = 1'000'000'000'001; }},
      {"iterations 0", [](auto& o) { o.iterations = 0; }},
      {"batch size 0", [](auto& o) { o.batch_size = 0; }},
      {"save every 0", [](auto& o) { o.save_every = 0; }},
      {"report every 0", [](auto& o) { o.report_every = 0; }},
      {"own samples 0", [](auto& o) { o.own_samples.count = 0; }},
      {"batch size of own samples 0", [](auto& o) { o.own_samples.batch_size = 0; }},
      {"guidance of own samples inf", [](auto& o) { o.own_samples.guidance = INFINITY; }},
      {"learning rate 0", [](auto& o) { o.learning_rate = 0; }},
      {"lambda -1", [](auto& o) { o.lambda = -1; }},
      {"label dropout 1.5", [](auto& o) { o.label_dropout = 1.5; }},
      {"clamp 0", [](auto& o) { o.clamp = 0; }},
      {"threshold 2", [](auto& o) { o.threshold = 2; }},
      {"no score is below 0.006693", [](auto& o) { o.threshold = 0.001; }},
      {"dtype \"fp16\"", [](auto& o) { o.dtype = "fp16"; }},
      {"give one of the two", [](auto& o) { o.target_speedup = 1.2; }},
      {"target speed-up 1: give a number above 1",
       [](auto& o) {
         o.lambda.reset();
         o.target_speedup = 1;
       }},
      {"target speed-up 3: reusing every branch of the 10 cache steps of DiT (custom) gives 1.",
       [](auto& o) {
         o.lambda.reset();
         o.target_speedup = 3;
       }},
  };
  const auto folder = test::scratch() / "none";
  for (const auto& [message, change] : changes) {
    auto options = tiny_options();
    change(options);
    EXPECT_THAT([&] { train(options, folder); }, ThrowsMessage<InputError>(HasSubstr(message)));
  }
  EXPECT_FALSE(fs::exists(folder));
}

TEST(RouterTrainer, DataThatDoNotFitTheModel) {
  const auto labels = at::arange(2);
  const auto fails = [&](const std::shared_ptr<const DataSet>& data, const std::string& message) {
    EXPECT_THAT([&] { train(tiny_options(), test::scratch(), data); },
                ThrowsMessage<InputError>(HasSubstr(message)));
  };
  fails(tensor_data(at::zeros({2, 3, 8, 8}), labels, 10, "colours"),
        "colours) are 8 x 8 with 3 channels, but the model takes 8 x 8 with 4");
  fails(tensor_data(at::zeros({2, 4, 4, 4}), labels, 10, "small"), "small) are 4 x 4");
  fails(tensor_data(at::zeros({2, 4, 8, 8}), labels, 11, "many"), "have 11 classes");
}

TEST(RouterTrainer, AModelWithoutANullLabel) {
  const auto model = test::tiny_model_without_null_label();
  auto options = tiny_options(2);
  EXPECT_THAT([&] { RouterTrainer(model, tiny_data(), options, test::scratch()); },
              ThrowsMessage<InputError>(AllOf(HasSubstr("set label dropout to 0 instead of 0.1"),
                                              testing::Not(HasSubstr("guidance")))));
  EXPECT_THAT([&] { RouterTrainer(model, nullptr, options, test::scratch()); },
              ThrowsMessage<InputError>(
                  HasSubstr("set label dropout to 0 instead of 0.1, and the guidance scale of own "
                            "samples to 1 instead of 1.5")));
  options.label_dropout = 0;
  EXPECT_EQ(RouterTrainer(model, tiny_data(), options, test::scratch()).run().iterations, 2);
  EXPECT_THAT([&] { RouterTrainer(model, nullptr, options, test::scratch()); },
              ThrowsMessage<InputError>(HasSubstr("set the guidance scale of own samples to 1")));
  options.own_samples.guidance = 1;
  EXPECT_EQ(RouterTrainer(model, nullptr, options, test::scratch()).run().iterations, 2);
}

TEST(RouterTrainer, ALossThatIsNotFinite) {
  auto checkpoint = test::tiny_checkpoint();
  auto& bias = checkpoint.tensors.at("final_layer.linear.bias");
  bias = at::full_like(bias, 1e30);
  const auto model = DiT::load(test::tiny_config(), checkpoint);
  EXPECT_THAT(
      [&] { RouterTrainer(model, tiny_data(), tiny_options(), test::scratch()).run(); },
      ThrowsMessage<RunError>(AllOf(HasSubstr("iteration 1 (row "), HasSubstr("not finite"))));
}

}  // namespace
}  // namespace l2c
