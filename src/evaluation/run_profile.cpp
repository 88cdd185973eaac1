#include "run_profile.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

namespace l2c {

namespace {

// How many multiply-adds of an operation one sample takes over a run; 0: not known.
double run_macs(ops::Operation operation, const ForwardCost& cost, const CachePlan& plan) {
  double macs = 0;
  for (int unit = 0; unit < plan.units(); ++unit) {
    int computed = 0;
    for (int k = 0; k < plan.evaluations(); ++k) computed += plan.computes(k, unit) ? 1 : 0;
    if (operation == ops::Operation::attention) {
      const BranchMacs& branch = cost.units[static_cast<std::size_t>(unit)];
      macs += computed * (branch.truth - branch.paper);
    }
    for (const LayerShape& layer : cost.layers) {
      if (layer.name == ops::name(operation) && layer.branch == BranchId::from_unit(unit).kind) {
        macs += computed * layer.macs();
      }
    }
  }
  return macs;
}

}  // namespace

RunProfile run_profile(const ops::Profile& profile, double cpu_seconds, double wall_seconds,
                       const ForwardCost& cost, const std::optional<CachePlan>& plan,
                       double samples) {
  RunProfile result{.cpu_seconds = cpu_seconds, .wall_seconds = wall_seconds, .operations = {}};
  double rest = cpu_seconds;
  for (std::size_t i = 0; i < ops::operation_count; ++i) {
    const auto operation = static_cast<ops::Operation>(i);
    const double seconds = profile.time(operation).seconds;
    OperationShare share{.name = std::string(ops::name(operation)),
                         .seconds = seconds,
                         .share = seconds / cpu_seconds};
    const double macs = plan ? run_macs(operation, cost, *plan) : 0;
    if (macs > 0 && seconds > 0) share.gflops = 2e-9 * macs * samples / seconds;
    result.operations.push_back(std::move(share));
    rest -= seconds;
  }
  result.operations.push_back({.name = "other",
                               .seconds = std::max(rest, 0.0),
                               .share = std::max(rest, 0.0) / cpu_seconds});
  return result;
}

}  // namespace l2c
