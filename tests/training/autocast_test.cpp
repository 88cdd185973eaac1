#include "l2c/training/autocast.h"

#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>

#include <vector>

#include "l2c/models/dit.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

bool enabled() { return at::autocast::is_autocast_enabled(at::kCPU); }

TEST(Autocast, RestoresWhatWasBefore) {
  {
    const Autocast outer(at::kCPU, true);
    EXPECT_TRUE(enabled());
    {
      const Autocast inner(at::kCPU, true);
      EXPECT_TRUE(enabled());
    }
    EXPECT_TRUE(enabled());
    const Autocast nothing(at::kCPU, false);
    EXPECT_TRUE(enabled());
  }
  EXPECT_FALSE(enabled());
}

at::Tensor forward(const DiT& model, bool bf16) {
  const auto golden = io::SafetensorsFile::open(test::data("dit_tiny/forward.safetensors"));
  ComputeAllRunner runner;
  const Autocast autocast(at::kCPU, bf16);
  return model.forward(golden.tensor("x"), golden.tensor("t"), golden.tensor("y"), runner);
}

TEST(Autocast, TheModelsProductsAreBf16AndItsResultFp32) {
  const auto model = DiT::load(test::tiny_config(), test::tiny_checkpoint());
  const auto exact = forward(*model, false);
  const auto half = forward(*model, true);
  EXPECT_EQ(half.scalar_type(), at::kFloat);
  EXPECT_FALSE(at::equal(half, exact));
  EXPECT_LT(test::relative_error(half, exact), 1e-2);  // 8 bits of mantissa: 4e-3 a product
  test::expect_equal(forward(*model, false), exact, "fp32 after autocast");
}

// A runner that looks at the residual stream before the first block.
class StreamType final : public BranchRunner {
 public:
  BranchValue branch(BranchId, BranchFunction compute) override { return single(compute({})); }
  void trunk(Trunk& trunk) override {
    type = trunk.stream().tokens().scalar_type();
    trunk.run(0, trunk.blocks());
  }
  at::ScalarType type = at::kDouble;
};

TEST(Autocast, TheResidualStreamIsFp32WithAndWithoutGradients) {
  const auto model = DiT::load(test::tiny_config(), test::tiny_checkpoint());
  const auto golden = io::SafetensorsFile::open(test::data("dit_tiny/forward.safetensors"));
  std::vector<at::Tensor> outputs;
  for (const bool gradients : {true, false}) {
    const at::AutoGradMode mode(gradients);
    const Autocast autocast(at::kCPU, true);
    StreamType runner;
    outputs.push_back(
        model->forward(golden.tensor("x"), golden.tensor("t"), golden.tensor("y"), runner)
            .detach());
    EXPECT_EQ(runner.type, at::kFloat) << (gradients ? "with" : "without") << " gradients";
  }
  EXPECT_LT(test::relative_error(outputs[1], outputs[0]), 1e-3);
}

}  // namespace
}  // namespace l2c
