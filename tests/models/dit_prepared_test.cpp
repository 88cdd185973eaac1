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

TEST_F(PreparedDiT, RefusesGradients) {
  if (!test::device().is_cpu()) GTEST_SKIP() << "packed weights are the CPU's";
  const auto model = prepared(at::kFloat);
  EXPECT_THAT([&] { (void)forward(*model); },
              ::testing::ThrowsMessage<Error>(::testing::HasSubstr("load it unprepared")));
}

}  // namespace
}  // namespace l2c
