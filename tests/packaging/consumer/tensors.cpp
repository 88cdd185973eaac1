// Uses the tensor API of an installed l2c.
#include <l2c/torch/l2c.h>

#include <iostream>

int main() {
  const at::Tensor x = at::arange(6, at::kFloat).reshape({2, 3});
  const l2c::DiTConfig config = l2c::dit_preset("DiT-S/8");
  std::cout << "sum " << x.sum().item<float>() << ", depth " << config.depth << "\n";
  return x.sum().item<float>() == 15.0F ? 0 : 1;
}
