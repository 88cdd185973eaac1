#include "l2c/ops/profile.h"

#include <gtest/gtest.h>

#include "l2c/ops/branches.h"
#include "l2c/ops/residual_stream.h"

namespace l2c {
namespace {

using ops::Operation;

struct Block {
  ops::Linear qkv, proj, fc1, fc2;
};

ops::Linear layer(std::int64_t out, std::int64_t in) {
  return ops::prepared({at::randn({out, in}), at::randn({out})}, at::kFloat);
}

class ProfileTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override { at::set_num_threads(GetParam()); }
  void TearDown() override { at::set_num_threads(1); }
  static void run_block() {
    const at::NoGradGuard no_grad;
    const Block block{layer(48, 16), layer(16, 16), layer(64, 16), layer(16, 64)};
    ops::ResidualStream stream(at::randn({3, 7, 16}));
    stream.add(single(ops::attention_branch(block.qkv, block.proj, 2, stream.normed({}, {}))), {});
    stream.add(
        single(ops::mlp_branch(block.fc1, block.fc2, ops::Gelu::tanh, stream.normed({}, {}))), {});
    (void)ops::linear(block.proj, stream.tokens());
  }
};

TEST_P(ProfileTest, KnowsEveryOperation) {
  ops::Profile profile;
  {
    const ops::ProfileScope scope(profile);
    run_block();
  }
  for (std::size_t i = 0; i < ops::operation_count; ++i) {
    const auto operation = static_cast<Operation>(i);
    EXPECT_GT(profile.time(operation).pieces, 0) << ops::name(operation);
    EXPECT_GT(profile.time(operation).seconds, 0) << ops::name(operation);
  }
  const auto pieces = profile.time(Operation::fc1).pieces;
  run_block();
  EXPECT_EQ(profile.time(Operation::fc1).pieces, pieces) << "nobody asked any more";
}

INSTANTIATE_TEST_SUITE_P(Threads, ProfileTest, ::testing::Values(1, 2));

TEST(Profile, TheInnerScopeCounts) {
  ops::Profile outer, inner;
  const at::NoGradGuard no_grad;
  const auto one = layer(4, 4);
  const ops::ProfileScope scope(outer);
  {
    const ops::ProfileScope nested(inner);
    (void)ops::linear(one, at::ones({1, 4}));
  }
  EXPECT_EQ(outer.time(Operation::other_products).pieces, 0);
  EXPECT_EQ(inner.time(Operation::other_products).pieces, 1);
}

}  // namespace
}  // namespace l2c
