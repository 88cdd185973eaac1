// What must not go wrong, and what goes on all the same: numbers that are not finite, modes of the
// caller, folders of before.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "l2c/cache/router.h"
#include "l2c/core/error.h"
#include "l2c/io/safetensors.h"
#include "l2c/models/denoiser.h"
#include "l2c/training/router_trainer.h"
#include "l2c/training/run_folder.h"
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

// One block whose two branches are ones; `output` makes an image's value of the sums of the two.
class Fake final : public Denoiser {
 public:
  using Output = std::function<at::Tensor(const at::Tensor& a, const at::Tensor& b)>;
  explicit Fake(Output output) : output_(std::move(output)) {
    info_.architecture = "fake";
    info_.fingerprint = "00";
    info_.in_channels = 4;
    info_.out_channels = 8;
    info_.input_size = 8;
    info_.blocks = 1;
    info_.num_classes = 10;
    info_.null_label = 10;
    cost_.units = {{1, 1}, {1, 1}};
  }
  at::Tensor forward(const at::Tensor& x, const at::Tensor& /*t*/, const at::Tensor& /*y*/,
                     BranchRunner& runner) const override {
    const auto branch = [&](int unit) {
      const auto value = runner.branch(BranchId::from_unit(unit), [&](const at::Tensor&) {
        return at::ones({x.size(0), 1, 1});
      });
      return value[0].value.sum();
    };
    const at::Tensor a = branch(0);
    return output_(a, branch(1)) * at::ones({x.size(0), 8, 8, 8});
  }
  [[nodiscard]] const DenoiserInfo& info() const override { return info_; }
  [[nodiscard]] const ForwardCost& cost() const override {
    if (no_memory) throw std::bad_alloc();
    return cost_;
  }
  [[nodiscard]] at::Device device() const override { return at::kCPU; }
  bool no_memory = false;

 private:
  Output output_;
  DenoiserInfo info_;
  ForwardCost cost_;
};

TEST(RouterTrainerGuards, AGradientThatIsNotFiniteStopsBeforeTheLogitsChange) {
  const auto model = std::make_shared<Fake>([](const at::Tensor& a, const at::Tensor& b) {
    return (a - a.detach()).sqrt() + b;  // 0, with a slope of infinity
  });
  const auto folder = scratch();
  RouterTrainer trainer(model, tiny_data(), tiny_options(), folder);
  EXPECT_THAT([&] { trainer.run(); },
              ThrowsMessage<RunError>(AllOf(HasSubstr("iteration 1 (row "),
                                            HasSubstr("the gradients' norm is not finite"))));
  EXPECT_EQ(trainer.iteration(), 0);
}

TEST(RouterTrainerGuards, GradientsOfAFailedIterationAreDropped) {
  const auto steep = std::make_shared<bool>(true);
  const auto model = std::make_shared<Fake>([steep](const at::Tensor& a, const at::Tensor& b) {
    return *steep ? (a - a.detach()).sqrt() + b : b;
  });
  RouterTrainer trainer(model, tiny_data(), tiny_options(), scratch());
  EXPECT_THROW(trainer.run(), RunError);
  *steep = false;
  EXPECT_EQ(logits(trainer.run().router),
            logits(RouterTrainer(model, tiny_data(), tiny_options(), scratch()).run().router));
}

TEST(RouterTrainerGuards, LogitsThatAreNotFiniteAreNotSaved) {
  // A gradient of 0 at an infinite rate.
  const auto model =
      std::make_shared<Fake>([](const at::Tensor& a, const at::Tensor&) { return a; });
  auto options = tiny_options();
  options.lambda = 0;
  options.save_every = 1;
  options.learning_rate = 1e39;
  const auto folder = scratch();
  EXPECT_THAT([&] { RouterTrainer(model, tiny_data(), options, folder).run(); },
              ThrowsMessage<RunError>(HasSubstr("logits is not finite after step 1")));
  EXPECT_EQ(RouterTrainer(model, tiny_data(), options, folder).iteration(), 0);
  EXPECT_FALSE(fs::exists(folder / "router.safetensors"));
}

TEST(RouterTrainerGuards, TheConstructorSpeaksInOurErrors) {
  const auto model =
      std::make_shared<Fake>([](const at::Tensor& a, const at::Tensor&) { return a; });
  model->no_memory = true;
  auto options = tiny_options();
  options.lambda.reset();
  options.target_speedup = 1.2;
  EXPECT_THAT([&] { RouterTrainer(model, tiny_data(), options, scratch()); },
              ThrowsMessage<RunError>(HasSubstr("out of memory: try a smaller batch")));
}

TEST(RouterTrainerGuards, TheCallersModesChangeNothing) {
  const auto model = tiny_model();
  const auto data = tiny_data();
  const auto run = [&] {
    return logits(RouterTrainer(model, data, tiny_options(), scratch()).run().router);
  };
  const auto expected = run();
  {
    const c10::InferenceMode inference;
    EXPECT_EQ(run(), expected);
  }
  const at::NoGradGuard no_grad;
  EXPECT_EQ(run(), expected);
}

TEST(RouterTrainerGuards, IterationsThatWouldOverflow) {
  auto options = tiny_options(std::int64_t{1} << 62);
  options.lambda.reset();
  options.target_speedup = 1.2;
  EXPECT_THAT([&] { RouterTrainer(tiny_model(), tiny_data(), options, scratch()); },
              ThrowsMessage<InputError>(AllOf(HasSubstr("iterations"), HasSubstr("10^12"))));
}

TEST(RouterTrainerGuards, TheThresholdIsADifferenceOnlyWithATarget) {
  const auto folder = scratch();
  const auto first = train(tiny_options(), folder);
  auto options = tiny_options();
  options.threshold = 0.6;
  const auto second = train(options, folder);
  EXPECT_EQ(logits(second.router), logits(first.router));
  EXPECT_EQ(Router::load(folder / "router.safetensors").info().threshold, 0.6);
  EXPECT_LT(second.branches_on, first.branches_on);

  const auto other = scratch();
  auto target = tiny_options(4);
  target.lambda.reset();
  target.target_speedup = 1.2;
  train(target, other);
  target.threshold = 0.6;
  EXPECT_THAT([&] { train(target, other); },
              ThrowsMessage<InputError>(HasSubstr("threshold: 0.1 in the checkpoint, 0.6 now")));
}

TEST(RouterTrainerGuards, DataOfAPathThatIsNotUtf8) {
  const auto folder = scratch();
  const auto named = [](const char* description) {
    const auto batch = tiny_data()->batch({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
    return tensor_data(batch.x, batch.y, 10, description);
  };
  train(tiny_options(), folder, named("from caf\xe9/latents"));
  EXPECT_THAT(Router::load(folder / "router.safetensors").info().training,
              HasSubstr("from caf\xEF\xBF\xBD/latents"));
  EXPECT_NO_THROW(train(tiny_options(), folder, named("from ./elsewhere")));
}

// What are notes today were settings in the first release.
TEST(RouterTrainerGuards, ACheckpointFromBeforeTheNotesResumes) {
  const auto folder = scratch();
  stop_after(5, tiny_options(), folder, tiny_data());
  const auto file = folder / "checkpoint-00000005.safetensors";
  auto tensors = io::SafetensorsFile::open(file).tensors();
  for (auto& [name, tensor] : tensors) tensor = tensor.clone();
  auto json = io::SafetensorsFile::open(file).metadata().at("settings");
  const std::string notes = "\"notes\":{";
  json.replace(json.find(notes), notes.size(), "");
  json = json.substr(0, json.find(",\"libtorch\"")) + "}";
  ASSERT_THAT(json, AllOf(HasSubstr("\"model_description\""), HasSubstr("\"threshold\"")));
  RunFolder(folder).save(5, tensors, TrainingSettings::from_json(json, "old"));
  EXPECT_EQ(logits(train(tiny_options(), folder).router),
            logits(train(tiny_options(), scratch()).router));
}

}  // namespace
}  // namespace l2c
