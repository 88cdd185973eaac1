#include "l2c/evaluation/policy_spec.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "l2c/cache/policies.h"
#include "l2c/core/error.h"
#include "l2c/core/hash.h"
#include "range_policy_spec.h"
#include "spec_text.h"

namespace l2c {

namespace {

constexpr double paper_threshold = 0.1;  // for DiT at 256 x 256

[[noreturn]] void refuse(const std::string& text, std::string_view why) {
  throw InputError(
      fmt::format("policy \"{}\": {}; give full, steps:N, every:N, router:FILE or "
                  "router:FILE@THRESHOLD, {}",
                  text, why, range_policy_forms));
}

template <typename Number>
std::optional<Number> whole_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return number;
}

int count_of(const std::string& text, std::string_view value, int most) {
  const auto number = whole_number<int>(value);
  if (!number || *number < 1 || *number > most) {
    refuse(text, fmt::format("\"{}\" is no whole number from 1 to {}", value, most));
  }
  return *number;
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
  const auto threshold = whole_number<double>(std::string_view(value).substr(at + 1));
  if (!threshold) return {value, {}};
  return {value.substr(0, at), threshold};
}

std::string router_fingerprint(const Router& router) {
  Hash hash;
  hash.number(router.rows());
  hash.number(router.units());
  for (int row = 0; row < router.rows(); ++row) {
    for (int unit = 0; unit < router.units(); ++unit) {
      const float logit = router.logit(row, unit);
      hash.bytes(&logit, sizeof logit);
    }
  }
  return hash.hex();
}

// Whether it is a policy that caches ranges of blocks.
bool make_range_policy(PolicySpec& spec, const std::string& kind) {
  // Files of other kinds may hold commas.
  if (kind != "first-block" && kind != "teacache" && kind != "delta-dit") return false;
  SpecText text("policy", spec.text);
  spec.policy = parse_range_policy(text);
  spec.name = fmt::format("{} {}", kind, text.rest());
  spec.identity = spec.policy->name();
  return true;
}

void make_router(PolicySpec& spec, const std::string& value) {
  const auto [file, asked] = router_text(value);
  if (file.empty()) refuse(spec.text, "no router file is named");
  auto router = Router::load(file);
  const double threshold = asked.value_or(router.info().threshold.value_or(paper_threshold));
  spec.name = fmt::format("{}@{}", std::filesystem::path(file).stem().string(), threshold);
  spec.router_fingerprint = router_fingerprint(router);
  spec.identity = fmt::format("router {}, threshold {}", spec.router_fingerprint, threshold);
  spec.threshold = threshold;
  spec.policy = std::make_shared<LearnedRouter>(std::move(router), threshold);
}

}  // namespace

PolicySpec parse_policy_spec(const std::string& text) {
  PolicySpec spec{.text = text,
                  .name = text,
                  .policy = std::make_shared<ComputeAll>(),
                  .steps = {},
                  .identity = "compute all",
                  .router_fingerprint = {},
                  .threshold = {}};
  if (text == "full") return spec;
  const auto colon = text.find(':');
  const auto kind = text.substr(0, colon);
  const auto value = colon == std::string::npos ? std::string() : text.substr(colon + 1);
  if (colon == std::string::npos) refuse(text, "no such policy");
  if (kind == "steps") {
    spec.steps = count_of(text, value, 1000);
    spec.name = fmt::format("steps {}", *spec.steps);
  } else if (kind == "every") {
    const int n = count_of(text, value, 1000);
    spec.name = spec.identity = fmt::format("every {}", n);
    spec.policy = std::make_shared<EveryN>(n);
  } else if (kind == "router") {
    make_router(spec, value);
  } else if (!make_range_policy(spec, kind)) {
    refuse(text, "no such policy");
  }
  return spec;
}

}  // namespace l2c
