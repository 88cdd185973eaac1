#include "l2c/models/embeddings.h"

#include <cmath>

#include "l2c/ops/workspace.h"

namespace l2c {

namespace {

constexpr double longest_period = 10000.0;

// [sin, cos] of the positions 0 ... grid - 1 at `dim / 2` frequencies: row p has dim values.
at::Tensor sincos_line(int dim, int grid) {
  const int half = dim / 2;
  at::Tensor line = at::empty({grid, dim}, at::kDouble);
  auto values = line.accessor<double, 2>();
  for (int position = 0; position < grid; ++position) {
    for (int i = 0; i < half; ++i) {
      const double frequency = 1.0 / std::pow(longest_period, static_cast<double>(i) / half);
      values[position][i] = std::sin(position * frequency);
      values[position][half + i] = std::cos(position * frequency);
    }
  }
  return line;
}

}  // namespace

at::Tensor timestep_frequencies(int dim) {
  const int half = dim / 2;
  return (at::arange(half, at::kFloat) * -std::log(longest_period)).div_(half).exp_();
}

at::Tensor timestep_sinusoids(const at::Tensor& t, const at::Tensor& frequencies) {
  const at::Tensor angles = t.to(at::kFloat).unsqueeze(1) * frequencies;
  at::Tensor result = ops::empty({angles.size(0), 2 * angles.size(1)}, angles.options());
  return at::cat_out(result, {angles.cos(), angles.sin()}, 1);
}

at::Tensor timestep_sinusoids(const at::Tensor& t, int dim) {
  return timestep_sinusoids(t, timestep_frequencies(dim).to(t.device()));
}

at::Tensor sincos_positions(int dim, int grid) {
  const at::Tensor line = sincos_line(dim / 2, grid);
  const at::Tensor column = line.unsqueeze(0).expand({grid, grid, dim / 2});
  const at::Tensor row = line.unsqueeze(1).expand({grid, grid, dim / 2});
  return at::cat({column, row}, 2).view({1, grid * grid, dim}).to(at::kFloat);
}

}  // namespace l2c
