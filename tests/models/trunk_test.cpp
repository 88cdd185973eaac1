// Blocks of some of the batch rows, and what a trunk says of the first block's input.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "l2c/core/error.h"
#include "models_support.h"

namespace l2c {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

using Rows = std::vector<std::int64_t>;

// Block 0 of all rows, the others of some.
class SomeRows final : public BranchRunner {
 public:
  explicit SomeRows(Rows rows) : rows_(std::move(rows)) {}
  BranchValue branch(BranchId id, BranchFunction compute) override {
    at::Tensor value = compute({});
    if (id.block > 0) sizes.push_back(value.size(0));
    return single(value);
  }
  void trunk(Trunk& trunk) override {
    trunk.run(0, 1);
    trunk.run(1, trunk.blocks(), rows_);
  }
  std::vector<std::int64_t> sizes;  // rows of each branch behind block 0

 private:
  Rows rows_;
};

class TrunkRows : public ::testing::TestWithParam<bool> {
 protected:
  at::Tensor output_of(BranchRunner& runner) const {
    return model->forward(in.x, in.t, in.y, runner);
  }
  at::Tensor all_computed() const {
    ComputeAllRunner runner;
    return output_of(runner);
  }
  const c10::InferenceMode inference;
  test::ModelInput in =
      test::input_of(io::SafetensorsFile::open(test::data("dit_tiny/forward.safetensors")));
  std::shared_ptr<const DiT> model =
      GetParam()
          ? DiT::load(test::tiny_config(), test::tiny_checkpoint(), test::device(), at::kFloat)
          : test::tiny_model();
};

TEST_P(TrunkRows, AllRowsAreThePlainPathBitForBit) {
  SomeRows runner({0, 1, 2, 3});
  test::expect_equal(output_of(runner), all_computed(), "output");
  EXPECT_EQ(runner.sizes, Rows(6, 4));
}

TEST_P(TrunkRows, TheOthersStayAsTheyAre) {
  const at::Tensor all = all_computed();
  SomeRows nobody{Rows()};
  const at::Tensor none = output_of(nobody);
  EXPECT_TRUE(nobody.sizes.empty());
  EXPECT_GT(test::relative_error(none, all), 1e-2);
  for (const Rows& rows : {Rows{0, 2}, Rows{3}, Rows{1, 2, 3}}) {
    SomeRows runner(rows);
    const at::Tensor output = output_of(runner);
    EXPECT_EQ(runner.sizes, Rows(6, static_cast<std::int64_t>(rows.size())));
    for (std::int64_t row = 0; row < 4; ++row) {
      const bool ran = std::find(rows.begin(), rows.end(), row) != rows.end();
      const at::Tensor expected = (ran ? all : none)[row];
      if (GetParam()) {
        test::expect_equal(output[row], expected, "a row");  // packed products: the same bits
      } else {
        EXPECT_LT(test::relative_error(output[row], expected), 1e-5);
      }
    }
  }
}

TEST_P(TrunkRows, MustAscendWithinTheBatch) {
  for (const Rows& rows : {Rows{1, 0}, Rows{1, 1}, Rows{-1}, Rows{4}, Rows{0, 1, 2, 3, 4}}) {
    SomeRows runner(rows);
    EXPECT_THAT([&] { output_of(runner); },
                ThrowsMessage<Error>(HasSubstr("which must ascend from 0 to at most 3")));
  }
}

TEST_P(TrunkRows, BlocksStillRunOnce) {
  class Twice final : public BranchRunner {
   public:
    BranchValue branch(BranchId, BranchFunction compute) override { return single(compute({})); }
    void trunk(Trunk& trunk) override {
      trunk.run(0, 2, Rows{0});
      trunk.run(1, 4, Rows{1});
    }
  } twice;
  EXPECT_THAT([&] { output_of(twice); },
              ThrowsMessage<Error>(AllOf(HasSubstr("blocks [1, 4)"), HasSubstr("from 2 on"))));
}

// Asks for a block's attention input where the blocks before have run.
class Asking final : public BranchRunner {
 public:
  explicit Asking(int block) : block_(block) {}
  BranchValue branch(BranchId, BranchFunction compute) override { return single(compute({})); }
  void trunk(Trunk& trunk) override {
    if (block_ > 0 && block_ < trunk.blocks()) trunk.run(0, block_);
    input = trunk.attention_input(block_);
    tokens = trunk.stream().tokens();
    trunk.run(block_ > 0 ? block_ : 0, trunk.blocks());
  }
  at::Tensor input;
  at::Tensor tokens;

 private:
  int block_;
};

TEST_P(TrunkRows, AttentionInputIsNormAndModulation) {
  const auto width = model->config().hidden_size;
  const at::Tensor all =
      model->modulations(model->embed_timesteps(in.t) + model->embed_labels(in.y));
  for (const int block : {0, 2}) {
    Asking asking(block);
    test::expect_equal(output_of(asking), all_computed(), "asking changes nothing");
    const at::Tensor shift = all.narrow(1, 6 * block * width, width).unsqueeze(1);
    const at::Tensor scale = all.narrow(1, (6 * block + 1) * width, width).unsqueeze(1);
    const at::Tensor expected =
        at::layer_norm(asking.tokens, {width}, {}, {}, 1e-6) * (1 + scale) + shift;
    EXPECT_EQ(asking.input.scalar_type(), at::kFloat);
    EXPECT_LT(test::relative_error(asking.input, expected), 1e-5);
  }
}

TEST_P(TrunkRows, SaysThatThereIsNoSuchBlock) {
  for (const int block : {-1, 4}) {
    Asking asking(block);
    EXPECT_THAT([&] { output_of(asking); },
                ThrowsMessage<Error>(HasSubstr("but there are 4 blocks")));
  }
}

INSTANTIATE_TEST_SUITE_P(Weights, TrunkRows, ::testing::Bool(),
                         [](const auto& param) { return param.param ? "prepared" : "plain"; });

}  // namespace
}  // namespace l2c
