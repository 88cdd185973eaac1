#include "forward_executor.h"

#include "l2c/cache/runner.h"

namespace l2c {

ModelCall DirectExecutor::forward(const Evaluation& evaluation, const at::Tensor& x,
                                  std::vector<double>& by_unit) {
  const std::int64_t rows = labels_.size(0);
  const at::Tensor batch = rows == x.size(0) ? x : at::cat({x, x});
  const at::Tensor t = at::full({rows}, evaluation.time, x.options());
  CountingRunner runner(run_.begin(evaluation), rows, &by_unit);
  at::Tensor output = model_.forward(batch, t, labels_, runner);
  return {std::move(output), runner.computed()};
}

}  // namespace l2c
