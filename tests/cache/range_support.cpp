#include "cache/range_support.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <utility>

#include "cache/support.h"
#include "l2c/cache/policies.h"
#include "l2c/cache/runner.h"
#include "l2c/cache/store.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c::test {

namespace {

constexpr double guidance = 2;

class Watching final : public BranchRunner {
 public:
  BranchValue branch(BranchId, BranchFunction compute) override { return single(compute({})); }
  void trunk(Trunk& trunk) override {
    tokens.push_back(trunk.stream().tokens());
    for (int i = 0; i < trunk.blocks(); ++i) {
      trunk.run(i, i + 1);
      tokens.push_back(trunk.stream().tokens());
    }
  }
  std::vector<at::Tensor> tokens;
};

class From final : public BranchRunner {
 public:
  From(at::Tensor tokens, int first) : tokens_(std::move(tokens)), first_(first) {}
  BranchValue branch(BranchId, BranchFunction compute) override { return single(compute({})); }
  void trunk(Trunk& trunk) override {
    trunk.stream().replace(tokens_);
    trunk.run(first_, trunk.blocks());
  }

 private:
  at::Tensor tokens_;
  int first_;
};

}  // namespace

Images make_images(int count, bool guided) {
  at::manual_seed(3);
  const at::Tensor scale = at::linspace(0.3, 2, count).view({-1, 1, 1, 1});
  return {.x = at::randn({count, 4, 8, 8}) * scale,
          .labels = at::arange(count, at::kLong) * 3 % 10,
          .guided = guided};
}

Images one_of(const Images& images, int index) {
  return {.x = images.x.narrow(0, index, 1),
          .labels = images.labels.narrow(0, index, 1),
          .guided = images.guided};
}

ModelRows rows_of(const Images& images, const at::Tensor& x, double time, const DiT& model) {
  if (!images.guided) return {x, at::full({x.size(0)}, time), images.labels};
  const at::Tensor null = at::full_like(images.labels, *model.info().null_label);
  return {at::cat({x, x}), at::full({2 * x.size(0)}, time), at::cat({images.labels, null})};
}

at::Tensor next_sample(const Images& images, const at::Tensor& x, const at::Tensor& output) {
  at::Tensor noise = output.narrow(1, 0, x.size(1));
  if (images.guided) {
    const auto halves = noise.chunk(2);
    noise = halves[1] + guidance * (halves[0] - halves[1]);
  }
  return x - 0.08 * noise;
}

RunShape range_shape(const Images& images, const DiT& model, int steps) {
  RunShape shape = ddim_shape(model.info().blocks, steps);
  shape.rows_per_image = images.guided ? 2 : 1;
  return shape;
}

Trace run_policy(const CachePolicy& policy, const DiT& model, const Images& images, int steps,
                 const Recall& recall) {
  const c10::InferenceMode inference;
  const RunShape shape = range_shape(images, model, steps);
  const auto rows = images.x.size(0) * shape.rows_per_image;
  CacheStore store(rows, model.info().tokens, model.info().width, model.branch_dtype());
  const auto run = policy.start(shape, store, &recall);
  Trace trace;
  trace.by_unit.resize(static_cast<std::size_t>(shape.units()));
  at::Tensor x = images.x;
  for (const Evaluation& evaluation : shape.evaluations) {
    CountingRunner counting(run->begin(evaluation), rows, &trace.by_unit);
    const ModelRows in = rows_of(images, x, evaluation.time, model);
    x = next_sample(images, x, model.forward(in.x, in.t, in.y, counting));
    trace.samples.push_back(x);
    trace.computed.push_back(counting.computed());
  }
  trace.peak_bytes = store.peak_bytes();
  return trace;
}

void expect_uncached(const std::vector<std::shared_ptr<const CachePolicy>>& policies, int steps) {
  for (const bool guided : {false, true}) {
    const auto images = make_images(3, guided);
    for (const auto& model :
         {tiny_model(), DiT::load(tiny_config(), tiny_checkpoint(), device(), at::kFloat)}) {
      const auto plain = run_policy(ComputeAll(), *model, images, steps);
      for (const auto& policy : policies) {
        const auto cached = run_policy(*policy, *model, images, steps);
        EXPECT_EQ(cached.computed, plain.computed) << policy->name();
        for (std::size_t k = 0; k < plain.samples.size(); ++k) {
          expect_equal(cached.samples[k], plain.samples[k], "a step");
        }
      }
    }
  }
}

std::size_t count_unlike(const std::vector<std::shared_ptr<const CachePolicy>>& policies,
                         int steps) {
  const auto model = tiny_model();
  const auto images = make_images(3, true);
  std::set<std::vector<double>> different;
  for (const auto& policy : policies) {
    different.insert(run_policy(*policy, *model, images, steps).computed);
  }
  return different.size();
}

void expect_held(const CachePolicy& policy, int steps, std::size_t tensors) {
  const auto model = tiny_model();
  const auto images = make_images(2, true);
  const std::size_t tensor = std::size_t{4} * 16 * 64 * sizeof(float);
  EXPECT_EQ(run_policy(policy, *model, images, steps).peak_bytes, tensors * tensor);
  EXPECT_EQ(run_policy(policy, *model, images, steps, Line()).peak_bytes, (tensors + 1) * tensor);
}

std::vector<at::Tensor> watch(const DiT& model, const ModelRows& rows, at::Tensor& output) {
  Watching watching;
  output = model.forward(rows.x, rows.t, rows.y, watching);
  return watching.tokens;
}

at::Tensor output_from(const DiT& model, const ModelRows& rows, const at::Tensor& tokens,
                       int first) {
  From from(tokens, first);
  return model.forward(rows.x, rows.t, rows.y, from);
}

Recomputed recompute(const DiT& model, const Images& images, int steps, const Recompute& step) {
  const c10::InferenceMode inference;
  Recomputed result;
  at::Tensor x = images.x;
  for (const Evaluation& evaluation : range_shape(images, model, steps).evaluations) {
    const ModelRows rows = rows_of(images, x, evaluation.time, model);
    at::Tensor full;
    const auto tokens = watch(model, rows, full);
    bool reused = false;
    x = next_sample(images, x, step(evaluation.index, rows, tokens, full, reused));
    result.samples.push_back(x);
    result.reused.push_back(reused);
  }
  return result;
}

double relative_l1(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs().sum() / b.abs().sum()).item<double>();
}

std::vector<double> Line::weights(int /*unit*/, std::span<const Moment> known,
                                  const Moment& now) const {
  if (known.size() == 1) return {1};
  const double ahead = static_cast<double>(now.evaluation - known[0].evaluation) /
                       (known[0].evaluation - known[1].evaluation);
  return {1 + ahead, -ahead};
}

void LineByHand::keep(int evaluation, at::Tensor value) {
  kept_.emplace_back(evaluation, std::move(value));
}

at::Tensor LineByHand::value_at(int evaluation) const {
  const auto& [k0, v0] = kept_.back();
  if (kept_.size() == 1) return v0;
  const auto& [k1, v1] = kept_[kept_.size() - 2];
  return v0 + (v0 - v1) * (static_cast<double>(evaluation - k0) / (k0 - k1));
}

}  // namespace l2c::test
