// Runs of the tiny model under policies that cache ranges of blocks, and what a straightforward
// recomputation needs: whole forward passes, watched or with other tokens.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "l2c/cache/policy.h"
#include "l2c/cache/recall.h"
#include "l2c/core/torch.h"
#include "l2c/models/dit.h"

namespace l2c::test {

// Images of one run: x [N, C, S, S], labels [N].
struct Images {
  at::Tensor x;
  at::Tensor labels;
  bool guided = false;  // two rows an image: with its label and with the null label
};

// Of unlike labels and sizes, so that they change at unlike rates.
Images make_images(int count, bool guided);
Images one_of(const Images& images, int index);

// The batch's input of one model call.
struct ModelRows {
  at::Tensor x, t, y;
};
ModelRows rows_of(const Images& images, const at::Tensor& x, double time, const DiT& model);
// A crude solver: x - 0.08 * guided noise.
at::Tensor next_sample(const Images& images, const at::Tensor& x, const at::Tensor& output);

// What happened in a run.
struct Trace {
  std::vector<at::Tensor> samples;  // after each evaluation
  std::vector<double> computed;     // branches of each evaluation, the mean over the images
  std::vector<double> by_unit;
  std::size_t peak_bytes = 0;
};
RunShape range_shape(const Images& images, const DiT& model, int steps);
Trace run_policy(const CachePolicy& policy, const DiT& model, const Images& images, int steps,
                 const Recall& recall = Latest());

// Each policy's run is that of ComputeAll bit for bit, guided and not, prepared and not.
void expect_uncached(const std::vector<std::shared_ptr<const CachePolicy>>& policies, int steps);
// How many of the policies compute unlike the others of them.
std::size_t count_unlike(const std::vector<std::shared_ptr<const CachePolicy>>& policies,
                         int steps);
// A guided run of two images holds so many tensors of a branch's size; recalled along a line, one
// more.
void expect_held(const CachePolicy& policy, int steps, std::size_t tensors);

// Tokens in front of each block and behind the last, everything computed. `output` receives the
// model's output.
std::vector<at::Tensor> watch(const DiT& model, const ModelRows& rows, at::Tensor& output);
// The model's output when blocks [first, end) run on these tokens.
at::Tensor output_from(const DiT& model, const ModelRows& rows, const at::Tensor& tokens,
                       int first);

// One evaluation of the recomputation: from the tokens of the full pass and its output, the output
// that the policy should give. Sets `reused`.
using Recompute = std::function<at::Tensor(int evaluation, const ModelRows& rows,
                                           const std::vector<at::Tensor>& tokens,
                                           const at::Tensor& full, bool& reused)>;
struct Recomputed {
  std::vector<at::Tensor> samples;
  std::vector<bool> reused;
};
Recomputed recompute(const DiT& model, const Images& images, int steps, const Recompute& step);

// sum |a - b| / sum |b|
double relative_l1(const at::Tensor& a, const at::Tensor& b);

// Looks back on two values: the straight line through them over the evaluations.
class Line final : public Recall {
 public:
  [[nodiscard]] std::string name() const override { return "line"; }
  [[nodiscard]] int depth() const override { return 2; }
  [[nodiscard]] std::vector<double> weights(int, std::span<const Moment> known,
                                            const Moment& now) const override;
};

// The same by hand: values are kept as they come.
class LineByHand {
 public:
  void keep(int evaluation, at::Tensor value);
  [[nodiscard]] at::Tensor value_at(int evaluation) const;

 private:
  std::vector<std::pair<int, at::Tensor>> kept_;
};

}  // namespace l2c::test
