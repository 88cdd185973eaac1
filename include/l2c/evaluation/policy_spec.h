// Cache policies by text, for comparisons. No LibTorch header behind it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "l2c/cache/policy.h"
#include "l2c/cache/router.h"

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
  bool threshold_given = false;     // with "@", and not the router's own
  // As parse_recall() takes it; empty: none was asked for, what is reused is the latest value.
  std::string recall;
  // Whether the text asks for that recall, with "+" or by a kind that is a forecast; false where
  // only the router's file does.
  bool recall_given = false;
  std::optional<int> made_for_steps;  // the only number of steps it fits, of a router or schedule
  std::optional<RouterInfo> router;   // what the router's file says
  bool reuses = true;                 // false: "full" and "steps:N"
};

// "full": everything computed. "steps:N": everything computed, in N steps. "every:N,warm-up=W": all
// branches reused between every N-th evaluation, after W (1) computed ones. "router:FILE" and
// "router:FILE@THETA" (or "l2c:"): a learned router with its own threshold (else 0.1), or with
// THETA, and with the recall it was trained with. A file whose name ends in "@number" is found
// where it exists. "smoothcache:FILE": a SmoothCache schedule. "taylorseer:N,order=M" and
// "chebbooster:N,order=M": every N-th evaluation after two computed ones, between them a forecast.
// "first-block:THRESHOLD", "teacache:THRESHOLD", "delta-dit:INTERVAL": FirstBlockCache, TeaCache
// and DeltaDiT; further options after commas: "first-block:0.1,blocks=1,warm-up=2,most=3",
// "teacache:0.2,coefficients=2/-1/0", "delta-dit:2,blocks=21,boundary=12". All but the first two
// take "+taylor:ORDER" and
// "+chebyshev:ORDER" at the end: what is reused is a forecast (recall.h). Throws InputError:
// another form (the message lists them), numbers outside their range, what Router::load and
// SmoothCache::load throw.
PolicySpec parse_policy_spec(const std::string& text);

// Whether parse_policy_spec() opens no file for this text, and so may be given what a stranger
// wrote. False for what is no policy at all.
bool opens_no_file(const std::string& text);

// The texts that parse_policy_spec() takes, for help and messages: "full, steps:N, ...".
std::string policy_forms();

// The text of the recall that a router was trained with, for parse_recall(). Throws InputError
// where that was fitted: its file must be named.
std::string recall_of(const RouterInfo& router);

}  // namespace l2c
