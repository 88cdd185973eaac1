// A DiT prepared for inference: the same model, by packed weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "l2c/core/error.h"
#include "models_support.h"

namespace l2c {
namespace {

std::shared_ptr<const DiT> prepared(at::ScalarType products) {
  return DiT::load(test::tiny_config(), test::tiny_checkpoint(), test::device(), products);
}

class PreparedDiT : public ::testing::Test {
 protected:
  at::Tensor forward(const DiT& model) const {
    ComputeAllRunner runner;
    return model.forward(in.x, in.t, in.y, runner);
  }
  io::SafetensorsFile golden =
      io::SafetensorsFile::open(test::data("dit_tiny/forward.safetensors"));
  test::ModelInput in = test::input_of(golden);
};

TEST_F(PreparedDiT, Fp32MatchesTheOfficialForward) {
  const c10::InferenceMode inference;
  const auto model = prepared(at::kFloat);
  EXPECT_EQ(model->branch_dtype(), at::kFloat);
  test::expect_close(forward(*model), golden.tensor("output"), 1e-5, "dit_tiny/forward, prepared");
}

TEST_F(PreparedDiT, Bf16DiffersByRounding) {
  const c10::InferenceMode inference;
  const auto model = prepared(at::kBFloat16);
  EXPECT_EQ(model->branch_dtype(), at::kBFloat16);
  const auto output = forward(*model);
  EXPECT_EQ(output.scalar_type(), at::kFloat);
  const auto expected = golden.tensor("output").to(output.device());
  const auto error = ((output - expected).norm() / expected.norm()).item<double>();
  EXPECT_GT(error, 1e-6) << "nothing was rounded";
  EXPECT_LT(error, 3e-3);
}

TEST_F(PreparedDiT, ASampleIsTheSameWhateverStandsBesideIt) {
  if (!test::device().is_cpu()) GTEST_SKIP() << "packed weights are the CPU's";
  const c10::InferenceMode inference;
  for (const auto products : {at::kFloat, at::kBFloat16}) {
    const auto model = prepared(products);
    const auto together = forward(*model);
    ComputeAllRunner runner;
    for (std::int64_t i = 0; i < in.x.size(0); ++i) {
      const auto alone =
          model->forward(in.x.narrow(0, i, 1), in.t.narrow(0, i, 1), in.y.narrow(0, i, 1), runner);
      test::expect_equal(alone, together.narrow(0, i, 1), "one of the samples");
    }
  }
}

TEST_F(PreparedDiT, RowsWithLabelsInCommonShareTheirModulations) {
  if (!test::device().is_cpu()) GTEST_SKIP() << "packed weights are the CPU's";
  const c10::InferenceMode inference;
  const auto model = prepared(at::kFloat);
  const auto labels = at::tensor({4, 10, 4, 10}, at::kLong);
  const auto times = at::full({4}, 321.0);
  ComputeAllRunner runner;
  const auto together = model->forward(in.x, times, labels, runner);
  for (std::int64_t i = 0; i < 4; ++i) {
    const auto alone =
        model->forward(in.x.narrow(0, i, 1), times.narrow(0, i, 1), labels.narrow(0, i, 1), runner);
    test::expect_equal(alone, together.narrow(0, i, 1), "one of the samples");
  }
}

TEST_F(PreparedDiT, ConditionsMadeApartGiveTheSameForward) {
  if (!test::device().is_cpu()) GTEST_SKIP() << "packed weights are the CPU's";
  const c10::InferenceMode inference;
  for (const auto products : {at::kFloat, at::kBFloat16}) {
    const auto model = prepared(products);
    const auto width = (6 * test::tiny_config().depth + 2) * test::tiny_config().hidden_size;
    EXPECT_EQ(model->conditions_width(), width);
    // Beside those of other calls.
    const auto made =
        model->conditions(at::cat({in.t + 1, in.t, in.t}), at::cat({in.y, in.y, in.y}));
    ASSERT_EQ(made.sizes(), (std::vector<std::int64_t>{3 * in.t.size(0), width}));
    ComputeAllRunner runner;
    const auto rows = in.t.size(0);
    const auto output = model->forward_conditioned(in.x, made.narrow(0, rows, rows), runner);
    test::expect_equal(output, forward(*model), "forward_conditioned");
    const auto others = model->forward_conditioned(in.x, made.narrow(0, 0, rows), runner);
    EXPECT_FALSE(at::equal(output, others)) << "another timestep";
  }
}

TEST_F(PreparedDiT, ConditionsMustBeThoseOfTheModel) {
  if (!test::device().is_cpu()) GTEST_SKIP() << "packed weights are the CPU's";
  const c10::InferenceMode inference;
  const auto model = prepared(at::kFloat);
  ComputeAllRunner runner;
  const auto refuses = [&](const at::Tensor& conditions, const char* message) {
    EXPECT_THAT([&] { model->forward_conditioned(in.x, conditions, runner); },
                ::testing::ThrowsMessage<InputError>(::testing::HasSubstr(message)));
  };
  const auto made = model->conditions(in.t, in.y);
  refuses(made.narrow(0, 0, 3), "must be what conditions() made: Float [4, ");
  refuses(made.narrow(1, 1, made.size(1) - 1), "must be what conditions() made");
  refuses(made.to(at::kDouble), "are Double [4, ");
  EXPECT_THAT([&] { (void)model->conditions(in.t, in.y.narrow(0, 0, 3)); },
              ::testing::ThrowsMessage<InputError>(::testing::HasSubstr("labels [3]")));
  const auto plain = DiT::load(test::tiny_config(), test::tiny_checkpoint());
  EXPECT_EQ(plain->conditions_width(), 0);
  EXPECT_THAT([&] { (void)plain->conditions(in.t, in.y); },
              ::testing::ThrowsMessage<Error>(::testing::HasSubstr("use forward()")));
  EXPECT_THAT([&] { plain->forward_conditioned(in.x, made, runner); },
              ::testing::ThrowsMessage<Error>(::testing::HasSubstr("use forward()")));
}

TEST_F(PreparedDiT, RefusesGradients) {
  if (!test::device().is_cpu()) GTEST_SKIP() << "packed weights are the CPU's";
  const auto model = prepared(at::kFloat);
  EXPECT_THAT([&] { (void)forward(*model); },
              ::testing::ThrowsMessage<Error>(::testing::HasSubstr("load it unprepared")));
}

}  // namespace
}  // namespace l2c
