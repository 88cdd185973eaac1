#include "l2c/evaluation/policy_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "l2c/cache/recalling.h"
#include "l2c/core/error.h"
#include "policy_kinds.h"

namespace l2c {

namespace {

// The policy's text, and what follows the first "+" that names a recall: a file's name may hold
// that sign, too.
std::pair<std::string, std::string> split_recall(const std::string& text) {
  for (const auto* const kind : {"+latest", "+taylor:", "+chebyshev:", "+fitted:"}) {
    const auto plus = text.find(kind);
    if (plus != std::string::npos) return {text.substr(0, plus), text.substr(plus + 1)};
  }
  return {text, ""};
}

void recall_by(PolicySpec& spec, const std::string& recall) {
  auto parsed = parse_recall(recall);
  if (!spec.reuses) {
    refuse_policy(fmt::format("{}+{}", spec.text, recall),
                  "it computes everything, so there is nothing to recall");
  }
  spec.name += fmt::format("+{}", parsed->name());
  if (parsed->name() != "latest") spec.identity += fmt::format(", {}", parsed->identity());
  spec.recall = recall;
  spec.policy = std::make_shared<Recalling>(spec.policy, std::move(parsed));
}

}  // namespace

std::string recall_of(const RouterInfo& router) {
  if (router.recall.empty()) return "latest";
  if (router.recall.rfind("fitted", 0) != 0) return router.recall;
  throw InputError(fmt::format(
      "the router was trained with the forecast {}: name its file, +fitted:FILE@DEPTH at "
      "the end of a policy or --recall fitted:FILE@DEPTH",
      router.recall));
}

bool opens_no_file(const std::string& text) {
  const auto kinds = policy_kinds();
  const auto name = text.substr(0, text.find_first_of(":+"));
  const auto kind = std::find_if(kinds.begin(), kinds.end(),
                                 [&](const PolicyKind& known) { return known.name == name; });
  return kind != kinds.end() && kind->form.find("FILE") == std::string_view::npos &&
         text.find("fitted") == std::string::npos;
}

PolicySpec parse_policy_spec(const std::string& text) {
  const auto [policy, recall] = split_recall(text);
  const auto name = policy.substr(0, policy.find(':'));
  const auto kinds = policy_kinds();
  const auto kind = std::find_if(kinds.begin(), kinds.end(),
                                 [&](const PolicyKind& known) { return known.name == name; });
  if (kind == kinds.end()) refuse_policy(text, "no such policy");
  PolicySpec spec;
  spec.text = text;
  kind->make(spec, policy);
  if (!recall.empty()) {
    recall_by(spec, recall);
    spec.recall_given = true;
  } else if (spec.router && !spec.router->recall.empty()) {
    recall_by(spec, recall_of(*spec.router));
  }
  return spec;
}

}  // namespace l2c
