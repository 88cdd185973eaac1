// Cache policies by text, for comparisons. No LibTorch header behind it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "l2c/cache/policy.h"

namespace l2c {

// One way to run a model.
struct PolicySpec {
  std::string text;  // as it was given: "router:runs/a/router.safetensors@0.5"
  std::string name;  // short, for tables and folders: "router@0.5"
  std::shared_ptr<const CachePolicy> policy;  // never null
  std::optional<int> steps;                   // instead of the comparison's
  // What it is, wherever files lie: "compute all", "router <fingerprint>, threshold 0.5". Equal
  // identities with equal steps run alike.
  std::string identity;
  std::string router_fingerprint;   // 32 hex digits of its logits; empty: no router
  std::optional<double> threshold;  // of the router
};

// "full": everything computed. "steps:N": everything computed, in N steps. "every:N": all branches
// reused between every N-th evaluation. "router:FILE" and "router:FILE@THETA": a learned router
// with its own threshold (else 0.1, the paper's for DiT at 256 x 256), or with THETA. A file whose
// name ends in "@number" is found where it exists. "first-block:THRESHOLD", "teacache:THRESHOLD",
// "delta-dit:INTERVAL": FirstBlockCache, TeaCache and DeltaDiT; further options after commas:
// "first-block:0.1,blocks=1,warm-up=2,most=3", "teacache:0.2,coefficients=2/-1/0",
// "delta-dit:2,blocks=21,boundary=12". Throws InputError: another form (the message
// lists them), numbers outside their range, what Router::load throws.
PolicySpec parse_policy_spec(const std::string& text);

}  // namespace l2c
