// How two routers differ. No LibTorch header behind it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "l2c/cache/plan.h"
#include "l2c/cache/router.h"

namespace l2c {

// A router's decisions at a threshold: whether a branch is computed.
struct DecisionDifference {
  double threshold = 0;
  int differing = 0;
  int of = 0;  // steps * units
};

// What two routers say of one thing that decides what is reused, or by whom they may be used.
struct RouterFact {
  std::string name{};  // as in the file: "spacing"
  std::string first{};
  std::string second{};
};

struct RouterDifference {
  double largest = 0;  // |a - b| of the logits
  double mean = 0;
  int differing = 0;  // logits that are not equal
  int of = 0;
  std::vector<DecisionDifference> decisions{};  // one a threshold
  std::vector<RouterFact> facts{};

  // Logits and facts are the same, and so is every plan.
  [[nodiscard]] bool same() const { return differing == 0 && facts.empty(); }
};

// Decisions are those of the evaluations of `shape`: where one router computes everything whatever
// the scores (router_cache_steps()), it computes each branch. Without a shape every row counts as
// one that decides (routers of U-ViT do not say their sampler). Throws InputError: other numbers of
// steps or units; a threshold outside [0, 1]; a shape with rows that the routers do not have.
RouterDifference compare_routers(const Router& a, const Router& b,
                                 const std::vector<double>& thresholds,
                                 const std::optional<RunShape>& shape);

}  // namespace l2c
