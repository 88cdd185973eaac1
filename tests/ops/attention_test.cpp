#include "l2c/ops/attention.h"

#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/golden.h"

namespace l2c {
namespace {

// softmax(Q K^T / sqrt(d)) V head by head.
at::Tensor plain_attention(const at::Tensor& qkv, int heads) {
  const auto width = qkv.size(2) / 3;
  const auto head = width / heads;
  std::vector<at::Tensor> mixed;
  for (int h = 0; h < heads; ++h) {
    const auto q = qkv.narrow(2, h * head, head);
    const auto k = qkv.narrow(2, width + h * head, head);
    const auto v = qkv.narrow(2, 2 * width + h * head, head);
    const auto scores = at::matmul(q, k.transpose(1, 2)) / std::sqrt(static_cast<double>(head));
    mixed.push_back(at::matmul(at::softmax(scores, -1), v));
  }
  return at::cat(mixed, 2);
}

struct Case {
  std::int64_t rows, tokens, width;
  int heads;
};

class AttentionShapes : public ::testing::TestWithParam<Case> {};

TEST_P(AttentionShapes, EqualsTheFormula) {
  const auto [rows, tokens, width, heads] = GetParam();
  at::manual_seed(21);
  const auto qkv = at::randn({rows, tokens, 3 * width});
  const auto expected = plain_attention(qkv, heads);
  test::expect_close(ops::self_attention(qkv, heads), expected, 2e-6, "self_attention");
  const c10::InferenceMode inference;
  test::expect_close(ops::self_attention(qkv, heads), expected, 2e-6, "self_attention");
}

TEST_P(AttentionShapes, GradientsFlow) {
  const auto [rows, tokens, width, heads] = GetParam();
  at::manual_seed(22);
  const auto qkv = at::randn({rows, tokens, 3 * width}).requires_grad_();
  const auto weights = at::randn({rows, tokens, width});
  (ops::self_attention(qkv, heads) * weights).sum().backward();
  const auto actual = qkv.grad().clone();
  qkv.mutable_grad().reset();
  (plain_attention(qkv, heads) * weights).sum().backward();
  test::expect_close(actual, qkv.grad(), 1e-5, "self_attention gradients");
}

// The result for bf16 input is the fp32 one of the widened input, bit for bit.
TEST_P(AttentionShapes, UnderAutocastItIsComputedInFp32) {
  const auto [rows, tokens, width, heads] = GetParam();
  at::manual_seed(23);
  const auto qkv = at::randn({rows, tokens, 3 * width}).to(at::kBFloat16);
  const auto expected = ops::self_attention(qkv.to(at::kFloat), heads);
  at::autocast::set_autocast_enabled(at::kCPU, true);
  const auto actual = ops::self_attention(qkv, heads);
  at::autocast::set_autocast_enabled(at::kCPU, false);
  test::expect_equal(actual, expected, "self_attention under autocast");
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionShapes,
                         ::testing::Values(Case{2, 1, 7, 1}, Case{2, 49, 130, 10},
                                           Case{3, 16, 64, 4}, Case{1, 49, 7, 7}));

}  // namespace
}  // namespace l2c
