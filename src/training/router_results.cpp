#include "router_results.h"

#include <utility>

#include "l2c/cache/heat_map.h"
#include "l2c/io/png.h"

namespace l2c {

Router to_router(const at::Tensor& logits, RouterInfo info) {
  const at::Tensor values = logits.contiguous();
  const float* first = values.const_data_ptr<float>();
  return {static_cast<int>(values.size(0)), static_cast<int>(values.size(1)),
          std::vector<float>(first, first + values.numel()), std::move(info)};
}

PlanCost price_router(const Router& router, double threshold, const RunShape& shape,
                      const ForwardCost& cost) {
  return price(LearnedRouter(router, threshold).plan(shape).value(), cost);
}

at::Tensor logits_of(const Router& router) {
  auto logits = at::empty({router.rows(), router.units()});
  auto* next = logits.mutable_data_ptr<float>();
  for (int row = 0; row < router.rows(); ++row) {
    for (int unit = 0; unit < router.units(); ++unit) *next++ = router.logit(row, unit);
  }
  return logits;
}

RouterPrice price_of(int steps, int cache_steps, const ForwardCost& cost) {
  RouterPrice price;
  for (const BranchMacs& unit : cost.units) price.unit_macs.push_back(unit.truth);
  price.full_macs = cost.total().truth * steps;
  price.cache_steps = cache_steps;
  return price;
}

std::vector<std::filesystem::path> write_results(const std::filesystem::path& folder,
                                                 const LearnedRouter& learned,
                                                 const RunShape& shape, const Curve& curve) {
  std::vector<std::filesystem::path> files{folder / "router.safetensors", folder / "curve.csv",
                                           folder / "heat_map.png"};
  learned.router().save(files[0]);
  curve.write_csv(files[1]);
  io::write_png(files[2], draw_router(learned, shape));
  return files;
}

}  // namespace l2c
