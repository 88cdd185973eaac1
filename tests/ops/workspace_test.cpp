#include "l2c/ops/workspace.h"

#include <gtest/gtest.h>

#include <thread>

#include "l2c/ops/linear.h"

namespace l2c {
namespace {

TEST(Workspace, GivesABlockAgainWhenItsTensorIsGone) {
  ops::Workspace workspace;
  const ops::WorkspaceScope scope(workspace);
  const void* first = nullptr;
  {
    const auto a = ops::empty({3, 100}, at::kFloat);
    first = a.data_ptr();
    EXPECT_NE(ops::empty({3, 100}, at::kFloat).data_ptr(), first) << "still in use";
  }
  EXPECT_EQ(workspace.blocks(), 2U);
  EXPECT_EQ(workspace.bytes(), 2U * 1200);
  const auto b = ops::empty({300}, at::kFloat);
  const auto c = ops::empty({600}, at::kBFloat16);
  EXPECT_TRUE(b.data_ptr() == first || c.data_ptr() == first);
  EXPECT_EQ(workspace.blocks(), 2U) << "the same sizes again ask for nothing";
  (void)ops::empty({301}, at::kFloat);
  EXPECT_EQ(workspace.blocks(), 3U);
}

TEST(Workspace, TensorsAreAlignedAndOrdinary) {
  ops::Workspace workspace;
  const ops::WorkspaceScope scope(workspace);
  auto a = ops::empty({2, 5}, at::TensorOptions(at::kBFloat16));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a.data_ptr()) % 64, 0U);
  EXPECT_TRUE(a.is_contiguous());
  EXPECT_EQ(a.scalar_type(), at::kBFloat16);
  EXPECT_FALSE(a.is_inference());
  a.fill_(2);
  EXPECT_EQ(at::mm(a, a.t()).sum().item<float>(), 80);
  EXPECT_EQ(ops::empty({0, 4}, at::kFloat).numel(), 0);
  const c10::InferenceMode inference;
  EXPECT_TRUE(ops::empty({2}, at::kFloat).is_inference());
}

TEST(Workspace, IsTheThreadsAndNests) {
  ops::Workspace outer, inner;
  {
    const ops::WorkspaceScope scope(outer);
    {
      const ops::WorkspaceScope nested(inner);
      (void)ops::empty({4}, at::kFloat);
    }
    EXPECT_EQ(outer.blocks(), 0U);
    EXPECT_EQ(inner.blocks(), 1U);
    std::thread([] { (void)ops::empty({4}, at::kFloat); }).join();
    EXPECT_EQ(outer.blocks(), 0U) << "another thread has no workspace open";
    (void)ops::empty({4}, at::kFloat);
    EXPECT_EQ(outer.blocks(), 1U);
  }
  (void)ops::empty({4}, at::kFloat);
  EXPECT_EQ(outer.blocks() + inner.blocks(), 2U);
}

TEST(Workspace, TensorsOutliveItAndDieElsewhere) {
  at::Tensor kept;
  {
    ops::Workspace workspace;
    const ops::WorkspaceScope scope(workspace);
    kept = ops::empty({1000}, at::kFloat);
  }
  kept.fill_(3);
  EXPECT_EQ(kept.sum().item<float>(), 3000);
  std::thread([gone = std::move(kept)]() mutable { gone.reset(); }).join();
}

TEST(Workspace, ATensorMayGrowAfterwards) {
  at::Tensor kept;
  {
    ops::Workspace workspace;
    const ops::WorkspaceScope scope(workspace);
    kept = ops::empty({2}, at::kFloat);
    kept.fill_(1);
  }
  kept.resize_({100});
  EXPECT_EQ(kept[1].item<float>(), 1);
}

TEST(Workspace, ServesThePackedOperations) {
  const at::NoGradGuard no_grad;
  const auto layer = ops::prepared({at::ones({8, 8}), at::zeros({8})}, at::kFloat);
  const auto x = at::ones({4, 8});
  ops::Workspace workspace;
  const ops::WorkspaceScope scope(workspace);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ops::linear(layer, x).sum().item<float>(), 256);
  EXPECT_EQ(workspace.blocks(), 1U);
}

}  // namespace
}  // namespace l2c
