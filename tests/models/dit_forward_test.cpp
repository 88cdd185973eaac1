#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "l2c/core/error.h"
#include "models_support.h"

namespace l2c {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class DitTinyForward : public ::testing::Test {
 protected:
  void expect(const at::Tensor& actual, const std::string& tensor, const std::string& part) const {
    test::expect_close(actual, golden.tensor(tensor), 1e-5, "dit_tiny/forward: " + part);
  }
  io::SafetensorsFile golden =
      io::SafetensorsFile::open(test::data("dit_tiny/forward.safetensors"));
  std::shared_ptr<const DiT> dit = test::tiny_model();
  test::ModelInput in = test::input_of(golden);
  const c10::InferenceMode inference;
};

TEST_F(DitTinyForward, Embeddings) {
  test::expect_equal(dit->pos_embed(), golden.tensor("pos_embed"), "pos_embed");
  const auto patches = dit->embed_patches(in.x);
  expect(patches, "x_patch_embedding", "x_patch_embedding");
  expect(patches + dit->pos_embed(), "x_patch_plus_pos", "x_patch_plus_pos");
  expect(dit->embed_timesteps(in.t), "t_embedding", "t_embedding");
  expect(dit->embed_labels(in.y), "y_embedding", "y_embedding");
  expect(dit->embed_timesteps(in.t) + dit->embed_labels(in.y), "c", "c");
}

TEST_F(DitTinyForward, Modulations) {
  const auto all = dit->modulations(golden.tensor("c").to(test::device()));
  for (int i = 0; i < 4; ++i) {
    expect(all.narrow(1, i * 384, 384), fmt::format("blocks.{}.adaln", i), "adaln");
  }
}

TEST_F(DitTinyForward, Branches) {
  test::RecordingRunner runner;
  dit->forward(in.x, in.t, in.y, runner);
  ASSERT_EQ(runner.recorded.size(), 12U);
  for (const auto& [name, tensor] : runner.recorded) {
    expect(tensor, name, name.substr(name.rfind('.') + 1));
  }
}

TEST_F(DitTinyForward, Output) {
  ComputeAllRunner runner;
  const auto output = dit->forward(in.x, in.t, in.y, runner);
  expect(output, "output", "output");
  // Back from [N, channel, grid, p, grid, q] to tokens of (p, q, channel).
  const auto tokens = output.view({4, 8, 4, 2, 4, 2}).permute({0, 2, 4, 3, 5, 1});
  expect(tokens.reshape({4, 16, 32}), "final_layer_tokens", "final_layer_tokens");
}

TEST_F(DitTinyForward, OutputWithGradientsOn) {
  const c10::InferenceMode off(false);
  ComputeAllRunner runner;
  const auto output = dit->forward(in.x, in.t, in.y, runner);
  expect(output, "output", "output with gradients on");
}

TEST_F(DitTinyForward, FloatingTimestepsGiveTheSameBits) {
  ComputeAllRunner runner;
  const auto output = dit->forward(in.x, in.t, in.y, runner);
  test::expect_equal(dit->forward(in.x, in.t.to(at::kFloat), in.y, runner), output, "fp32 t");
  test::expect_equal(dit->forward(in.x, in.t.to(at::kDouble), in.y, runner), output, "fp64 t");
}

TEST_F(DitTinyForward, ComputingIntoGivenMemoryGivesTheSameBits) {
  ComputeAllRunner plain;
  test::StoringRunner storing(4, dit->config());
  const auto output = dit->forward(in.x, in.t, in.y, storing);
  test::expect_equal(output, dit->forward(in.x, in.t, in.y, plain), "output");
  test::RecordingRunner recording;
  dit->forward(in.x, in.t, in.y, recording);
  for (int i = 0; i < 4; ++i) {
    test::expect_equal(storing.stored.at(2 * i),
                       recording.recorded.at(fmt::format("blocks.{}.attn_branch", i)), "attn");
    test::expect_equal(storing.stored.at(2 * i + 1),
                       recording.recorded.at(fmt::format("blocks.{}.mlp_branch", i)), "mlp");
  }
}

TEST_F(DitTinyForward, ARunnerMayReuse) {
  test::StoringRunner storing(4, dit->config());
  const auto output = dit->forward(in.x, in.t, in.y, storing);
  // The same input with the same values handed back: the same bits, and nothing but the rest runs.
  test::ReusingRunner all(storing.stored);
  test::expect_equal(dit->forward(in.x, in.t, in.y, all), output, "all reused");
  EXPECT_TRUE(all.computed.empty());

  auto some = storing.stored;
  some.erase(BranchId{1, BranchKind::mlp}.unit());
  some.erase(BranchId{3, BranchKind::attention}.unit());
  test::ReusingRunner partly(some);
  test::expect_equal(dit->forward(in.x, in.t, in.y, partly), output, "partly reused");
  EXPECT_THAT(partly.computed, ::testing::ElementsAre(3, 6));

  // Other values: another output.
  some[0] = some[0] * 2;
  test::ReusingRunner other(some);
  EXPECT_GT(test::relative_error(dit->forward(in.x, in.t, in.y, other), output), 1e-3);
}

TEST_F(DitTinyForward, ARunnerMaySkipBlocks) {
  class Skip final : public BranchRunner {
   public:
    BranchValue branch(BranchId /*id*/, BranchFunction compute) override {
      return {Term{compute({})}};
    }
    void trunk(Trunk& trunk) override {
      trunk.run(0, 1);
      trunk.stream().replace(replacement);
      trunk.run(4, 4);
    }
    at::Tensor replacement;
  } skip;
  test::RecordingRunner recording;
  const auto output = dit->forward(in.x, in.t, in.y, recording);
  skip.replacement = recording.recorded.at("blocks.3.out");
  test::expect_equal(dit->forward(in.x, in.t, in.y, skip), output, "output");
}

TEST_F(DitTinyForward, BlocksRunInOrderAndOnce) {
  class Wrong final : public BranchRunner {
   public:
    Wrong(int first, int last) : first_(first), last_(last) {}
    BranchValue branch(BranchId /*id*/, BranchFunction compute) override {
      return {Term{compute({})}};
    }
    void trunk(Trunk& trunk) override {
      trunk.run(0, 2);
      trunk.run(first_, last_);
    }

   private:
    int first_, last_;
  };
  for (const auto& [first, last] : {std::pair{1, 4}, {2, 5}, {3, 2}}) {
    Wrong wrong(first, last);
    EXPECT_THAT([&] { dit->forward(in.x, in.t, in.y, wrong); },
                ThrowsMessage<Error>(HasSubstr(fmt::format("blocks [{}, {})", first, last))));
  }
}

TEST_F(DitTinyForward, ThreadsDoNotDisturbEachOther) {
  ComputeAllRunner runner;
  const auto output = dit->forward(in.x, in.t, in.y, runner);
  std::vector<at::Tensor> outputs(4);
  std::vector<std::thread> threads;
  for (auto& mine : outputs) {
    threads.emplace_back([&] {
      const c10::InferenceMode guard;
      for (int i = 0; i < 5; ++i) {
        ComputeAllRunner own;
        mine = dit->forward(in.x, in.t, in.y, own);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& other : outputs) test::expect_equal(other, output, "another thread's output");
}

TEST_F(DitTinyForward, GradientsReachInputAndReusedBranches) {
  const c10::InferenceMode off(false);
  test::StoringRunner storing(4, dit->config());
  {
    const at::NoGradGuard no_grad;
    dit->forward(in.x, in.t, in.y, storing);
  }
  const auto x = in.x.clone().requires_grad_();
  const auto branch = storing.stored.at(2).clone().requires_grad_();
  const auto weights = golden.tensor("output");
  const auto loss = [&](const at::Tensor& input, const at::Tensor& value) {
    test::ReusingRunner runner({{2, value}});
    return (dit->forward(input, in.t, in.y, runner) * weights).sum();
  };
  loss(x, branch).backward();
  // The derivative along a direction, by central differences in the loss.
  at::manual_seed(5);
  const at::NoGradGuard no_grad;
  const double step = 1e-2;
  for (const bool of_x : {true, false}) {
    const auto& leaf = of_x ? x : branch;
    const auto direction = at::randn_like(leaf);
    const auto moved = [&](double by) {
      return of_x ? loss(x + direction * by, branch) : loss(x, branch + direction * by);
    };
    const double difference =
        (moved(step).item<double>() - moved(-step).item<double>()) / (2 * step);
    const double derivative = (leaf.grad() * direction).sum().item<double>();
    EXPECT_NEAR(derivative, difference, 1e-2 * std::abs(difference) + 1e-2) << of_x;
  }
}

TEST_F(DitTinyForward, BadInput) {
  ComputeAllRunner runner;
  const auto refuses = [&](const test::ModelInput& bad, const char* message) {
    EXPECT_THAT([&] { dit->forward(bad.x, bad.t, bad.y, runner); },
                ThrowsMessage<InputError>(HasSubstr(message)));
  };
  refuses({in.x.narrow(1, 0, 3), in.t, in.y}, "is [4, 3, 8, 8], but must be [N, 4, 8, 8]");
  refuses({in.x.narrow(0, 0, 0), in.t, in.y}, "is [0, 4, 8, 8], but must be [N, 4, 8, 8]");
  refuses({at::zeros({}), in.t, in.y}, "is [], but must be");
  refuses({in.x, in.t.narrow(0, 0, 3), in.y}, "timesteps [3] and labels [4]");
  refuses({in.x, in.t, in.y.unsqueeze(1)}, "labels [4, 1]");
  refuses({in.x.to(at::kDouble), in.t, in.y}, "must be fp32, not Double");
  refuses({in.x, in.t, in.y.to(at::kInt)}, "must be int64, not Int");
}

TEST_F(DitTinyForward, LabelBeyondTheTableIsNotRead) {
  ComputeAllRunner runner;
  EXPECT_ANY_THROW(dit->forward(in.x, in.t, at::full_like(in.y, 11), runner));
  EXPECT_ANY_THROW(dit->forward(in.x, in.t, at::full_like(in.y, -1), runner));
}

void expect_output(const std::filesystem::path& model, const std::string& golden_name) {
  const auto golden = io::SafetensorsFile::open(test::data(golden_name + ".safetensors"));
  const auto checkpoint = io::open_checkpoint(model);
  const auto dit = DiT::load(resolve_dit_config("", checkpoint), checkpoint, test::device());
  const auto in = test::input_of(golden);
  const c10::InferenceMode inference;
  ComputeAllRunner runner;
  test::expect_close(dit->forward(in.x, in.t, in.y, runner), golden.tensor("output"), 1e-5,
                     golden_name + ": output");
}

TEST(FashionForward, Output) {
  const auto model = test::shared_reference("fashion_mnist/dit.safetensors");
  if (model.empty()) GTEST_SKIP() << "shared/reference is not here: it holds the provisional model";
  expect_output(model, "fashion_mnist/forward");
}

TEST(DemoModelForward, Output) { expect_output(test::demo_model(), "demo_model/forward"); }

}  // namespace
}  // namespace l2c
