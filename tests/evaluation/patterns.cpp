#include "patterns.h"

#include "l2c/diffusion/noise.h"

namespace l2c::test {

std::shared_ptr<const DataSet> patterns(int size) {
  constexpr int classes = 3;
  constexpr double noise = 0.3;
  at::Tensor x = philox_normal(/*seed=*/5, /*image=*/0, /*step=*/0, {size, 1, 8, 8}) * noise - 0.5;
  const at::Tensor y = at::arange(size, at::kLong).remainder(classes);
  for (int i = 0; i < size; ++i) {
    // Top, middle and bottom: mirroring from side to side keeps the class.
    x.select(0, i).narrow(1, 1 + 2 * (i % classes), 2).narrow(2, 3, 2) += 1.0;
  }
  return tensor_data(x, y, classes, "patterns");
}

}  // namespace l2c::test
