// The points of a sweep.
#pragma once

#include <string>
#include <vector>

#include "l2c/evaluation/policy_spec.h"
#include "l2c/sampling/request.h"

namespace l2c {

struct SweepGrid {
  std::vector<std::string> policies{};  // as parse_policy_spec() takes them, each kept as it is
  // For every policy that reuses and names no recall; a router's file may name one, which is kept
  // as one more point.
  std::vector<std::string> recalls{};
  std::vector<double> thresholds{};  // for every router that names neither threshold nor recall
  // Adds fewer steps (90 % ... 30 % of the request's), every second, third and fourth step, and,
  // where no recalls are given, taylor:1, taylor:2 and chebyshev:2.
  bool standard = false;
};

// Computing everything first, then every policy, then the policies with the thresholds and
// recalls; of points that run alike (equal identity and steps) the first. `request`: for its steps.
// Throws InputError: what parse_policy_spec() throws, recalls without a policy for them and
// thresholds without a router for them, nothing but computing everything, two points whose
// images would be kept under one name.
std::vector<PolicySpec> expand(const SweepGrid& grid, const Request& request);

// For colours and legends: "computes everything", "fewer steps", "every N", "every N + forecast",
// "router", "router + forecast", ...
std::string family_of(const PolicySpec& spec);

}  // namespace l2c
