#include "policy_kinds.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <filesystem>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "l2c/cache/policies.h"
#include "l2c/cache/recalling.h"
#include "l2c/cache/smooth_cache.h"
#include "l2c/core/error.h"
#include "range_policy_spec.h"
#include "spec_text.h"

namespace l2c {

namespace {

constexpr int most_steps = 1000;
constexpr int highest_order = 8;

void make_full(PolicySpec& spec, const std::string& text) {
  if (text != "full") refuse_policy(text, "full has no value");
  spec.name = "full";
  spec.identity = "compute all";
  spec.reuses = false;
  spec.policy = std::make_shared<ComputeAll>();
}

void make_steps(PolicySpec& spec, const std::string& text) {
  const SpecText parts("policy", text);
  spec.steps = parts.whole_value(1, most_steps);
  parts.finish();
  spec.name = fmt::format("steps {}", *spec.steps);
  spec.identity = "compute all";
  spec.reuses = false;
  spec.policy = std::make_shared<ComputeAll>();
}

void make_every(PolicySpec& spec, const std::string& text) {
  SpecText parts("policy", text);
  const int n = parts.whole_value(1, most_steps);
  const int warm_up = parts.whole_option("warm-up", 1, 1, most_steps);
  parts.finish();
  spec.policy = std::make_shared<EveryN>(n, warm_up);
  spec.name = spec.identity = spec.policy->name();
}

// Full steps of `every:N,warm-up=W`, forecasts between them.
void make_forecasts(PolicySpec& spec, const std::string& text, std::string_view recall,
                    int default_order) {
  SpecText parts("policy", text);
  const int n = parts.whole_value(1, most_steps);
  const int order = parts.whole_option("order", default_order, 1, highest_order);
  const int warm_up = parts.whole_option("warm-up", 2, 1, most_steps);
  parts.finish();
  spec.recall = fmt::format("{}:{}", recall, order);
  spec.recall_given = true;
  spec.policy =
      std::make_shared<Recalling>(std::make_shared<EveryN>(n, warm_up), parse_recall(spec.recall));
  spec.name = spec.identity = spec.policy->name();
}

// Its published settings: order 4, two full steps to warm up.
void make_taylorseer(PolicySpec& spec, const std::string& text) {
  make_forecasts(spec, text, "taylor", 4);
}

void make_chebbooster(PolicySpec& spec, const std::string& text) {
  make_forecasts(spec, text, "chebyshev", 2);
}

// After the first ":".
std::string file_of(const std::string& text) {
  const auto colon = text.find(':');
  return colon == std::string::npos ? std::string() : text.substr(colon + 1);
}

struct RouterText {
  std::string file;
  std::optional<double> threshold;
};

// Splits FILE@THRESHOLD, unless a file has that very name.
RouterText router_text(const std::string& value) {
  const auto at = value.rfind('@');
  std::error_code error;
  if (at == std::string::npos || std::filesystem::exists(value, error)) return {value, {}};
  double threshold = 0;
  const char* const last = value.data() + value.size();
  const auto [end, failed] = std::from_chars(value.data() + at + 1, last, threshold);
  if (failed != std::errc() || end != last) return {value, {}};
  return {value.substr(0, at), threshold};
}

void make_router(PolicySpec& spec, const std::string& text) {
  const auto [file, asked] = router_text(file_of(text));
  if (file.empty()) refuse_policy(text, "no router file is named");
  auto router = Router::load(file);
  const double threshold = asked.value_or(router.info().threshold.value_or(paper_threshold));
  spec.name = fmt::format("{}@{}", std::filesystem::path(file).stem().string(), threshold);
  spec.router_fingerprint = router.fingerprint();
  spec.identity = fmt::format("router {}, threshold {}", spec.router_fingerprint, threshold);
  spec.threshold = threshold;
  spec.threshold_given = asked.has_value();
  spec.made_for_steps = router.rows();
  spec.router = router.info();
  spec.policy = std::make_shared<LearnedRouter>(std::move(router), threshold);
}

void make_smooth_cache(PolicySpec& spec, const std::string& text) {
  const auto file = file_of(text);
  if (file.empty()) refuse_policy(text, "no schedule file is named");
  auto policy = std::make_shared<SmoothCache>(SmoothCache::load(file));
  spec.name = policy->name();
  spec.identity = fmt::format("smoothcache {}", policy->fingerprint());
  spec.made_for_steps = policy->evaluations();
  spec.policy = std::move(policy);
}

void make_range_policy(PolicySpec& spec, const std::string& text) {
  SpecText parts("policy", text);
  spec.policy = parse_range_policy(parts);
  if (!spec.policy) refuse_policy(text, "it needs a value");
  spec.name = fmt::format("{} {}", parts.kind(), parts.rest());
  spec.identity = spec.policy->name();
}

constexpr std::array kinds = {
    PolicyKind{"full", "full", make_full},
    PolicyKind{"steps", "steps:N", make_steps},
    PolicyKind{"every", "every:N,warm-up=W", make_every},
    PolicyKind{"router", "router:FILE@THRESHOLD", make_router},
    PolicyKind{"l2c", "l2c:FILE@THRESHOLD", make_router},
    PolicyKind{"smoothcache", "smoothcache:FILE", make_smooth_cache},
    PolicyKind{"taylorseer", "taylorseer:N,order=M", make_taylorseer},
    PolicyKind{"chebbooster", "chebbooster:N,order=M", make_chebbooster},
    PolicyKind{"first-block", "first-block:THRESHOLD", make_range_policy},
    PolicyKind{"teacache", "teacache:THRESHOLD", make_range_policy},
    PolicyKind{"delta-dit", "delta-dit:INTERVAL", make_range_policy},
};

}  // namespace

std::span<const PolicyKind> policy_kinds() { return kinds; }

std::string policy_forms() {
  std::string forms;
  for (const PolicyKind& kind : kinds) {
    forms += fmt::format("{}{}", forms.empty() ? "" : ", ", kind.form);
  }
  return forms;
}

void refuse_policy(const std::string& text, std::string_view why) {
  throw InputError(fmt::format(
      "policy \"{}\": {}; give one of {}; all but full and steps:N take +taylor:ORDER or "
      "+chebyshev:ORDER at the end",
      text, why, policy_forms()));
}

}  // namespace l2c
