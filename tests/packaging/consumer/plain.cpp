// Uses the plain API of an installed l2c: no LibTorch header may be in reach.
#include <l2c/l2c.h>

#include <iostream>

#if __has_include(<ATen/ATen.h>)
#error "l2c::l2c hands LibTorch's include path to its users"
#endif

int main() {
  const l2c::DiTConfig config = l2c::dit_preset("DiT-S/8");
  l2c::CachePlan plan(2, 2 * config.depth);
  plan.reuse(1, 0);
  const l2c::BuildInfo info = l2c::build_info();
  std::cout << "l2c " << info.version << ", LibTorch " << info.libtorch << ": "
            << l2c::dit_name(config) << ", " << plan.reused() << " branch reused\n";
  return plan.reused() == 1 && !info.libtorch.empty() ? 0 : 1;
}
