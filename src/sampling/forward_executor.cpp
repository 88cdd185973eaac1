#include "forward_executor.h"

#include "l2c/cache/runner.h"

namespace l2c {

ModelCall DirectExecutor::forward(const Evaluation& evaluation, const at::Tensor& x,
                                  std::vector<double>& by_unit) {
  const std::int64_t rows = labels_.size(0);
  const at::Tensor batch = rows == x.size(0) ? x : at::cat({x, x});
  CountingRunner runner(run_.begin(evaluation), rows, &by_unit);
  const at::Tensor conditions = conditions_.of(evaluation);
  at::Tensor output =
      conditions.defined()
          ? model_.forward_conditioned(batch, conditions, runner)
          : model_.forward(batch, at::full({rows}, evaluation.time, x.options()), labels_, runner);
  return {std::move(output), runner.computed()};
}

}  // namespace l2c
