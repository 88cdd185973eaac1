#include "l2c/sweep/grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "l2c/core/error.h"
#include "l2c/sampling/planning.h"

namespace l2c {

namespace {

constexpr std::array standard_shares{0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3};
constexpr std::array standard_recalls{"taylor:1", "taylor:2", "chebyshev:2"};
constexpr int standard_farthest = 4;

int steps_of(const Request& request) {
  return static_cast<int>(plan_shape(1, request.spacing, request.steps, "").evaluations.size());
}

// The text before the first ":" says what kind of policy it is.
std::string kind_of(const PolicySpec& spec) {
  const auto kind = spec.text.substr(0, spec.text.find(':'));
  return kind == "l2c" ? "router" : kind;
}

// Collects points, each once.
class Points {
 public:
  explicit Points(int steps) : steps_(steps) {}

  void add(PolicySpec spec) {
    const int steps = spec.steps.value_or(steps_);
    if (!seen_.emplace(spec.identity, steps).second) return;
    const auto [other, fresh] =
        names_.emplace(std::pair(spec.name, spec.router_fingerprint), spec.text);
    if (!fresh) {
      throw InputError(
          fmt::format("\"{}\" and \"{}\" differ, but both would be kept as \"{}\": give one of "
                      "their files another name",
                      other->second, spec.text, spec.name));
    }
    points_.push_back(std::move(spec));
  }

  std::vector<PolicySpec> take() { return std::move(points_); }

 private:
  int steps_;
  std::set<std::pair<std::string, int>> seen_;
  std::map<std::pair<std::string, std::string>, std::string> names_;
  std::vector<PolicySpec> points_;
};

std::vector<std::string> policies_of(const SweepGrid& grid, int steps) {
  auto texts = grid.policies;
  if (!grid.standard) return texts;
  for (const double share : standard_shares) {
    texts.push_back(
        fmt::format("steps:{}", std::max(1, static_cast<int>(std::lround(share * steps)))));
  }
  for (int n = 2; n <= standard_farthest; ++n) texts.push_back(fmt::format("every:{}", n));
  return texts;
}

std::vector<std::string> recalls_of(const SweepGrid& grid) {
  if (!grid.standard || !grid.recalls.empty()) return grid.recalls;
  return {standard_recalls.begin(), standard_recalls.end()};
}

std::vector<PolicySpec> with_thresholds(const std::vector<PolicySpec>& specs,
                                        const std::vector<double>& thresholds) {
  std::vector<PolicySpec> added;
  for (const auto& spec : specs) {
    if (!spec.threshold || spec.threshold_given || spec.recall_given) continue;
    for (const double threshold : thresholds) {
      added.push_back(parse_policy_spec(fmt::format("{}@{}", spec.text, threshold)));
    }
  }
  if (added.empty() && !thresholds.empty()) {
    throw InputError(
        "thresholds without a router for them: give router:FILE without @THRESHOLD and +RECALL");
  }
  return added;
}

std::vector<PolicySpec> with_recalls(const std::vector<PolicySpec>& specs,
                                     const std::vector<std::string>& recalls) {
  std::vector<PolicySpec> added;
  for (const auto& spec : specs) {
    if (!spec.reuses || spec.recall_given) continue;
    for (const auto& recall : recalls) {
      added.push_back(parse_policy_spec(fmt::format("{}+{}", spec.text, recall)));
    }
  }
  if (added.empty() && !recalls.empty()) {
    throw InputError(
        "recalls without a policy for them: give one that reuses (every:N, router:FILE, ...) and "
        "names no recall of its own");
  }
  return added;
}

}  // namespace

std::vector<PolicySpec> expand(const SweepGrid& grid, const Request& request) {
  const int steps = steps_of(request);
  std::vector<PolicySpec> given;
  for (const auto& text : policies_of(grid, steps)) given.push_back(parse_policy_spec(text));
  const auto thresholds = with_thresholds(given, grid.thresholds);
  given.insert(given.end(), thresholds.begin(), thresholds.end());
  const auto recalled = with_recalls(given, recalls_of(grid));
  given.insert(given.end(), recalled.begin(), recalled.end());
  Points points(steps);
  points.add(parse_policy_spec("full"));
  for (auto& spec : given) points.add(std::move(spec));
  auto all = points.take();
  if (all.size() < 2) {
    throw InputError("nothing to compare with computing everything: give --policies, or --grid");
  }
  return all;
}

std::string family_of(const PolicySpec& spec) {
  const auto kind = kind_of(spec);
  if (kind == "full") return "computes everything";
  if (kind == "steps") return "fewer steps";
  auto family = kind == "every" ? std::string("every N") : kind;
  const bool forecast = !spec.recall.empty() && spec.recall != "latest";
  if (!forecast || kind == "taylorseer" || kind == "chebbooster") return family;
  return fmt::format("{} + forecast", family);
}

}  // namespace l2c
