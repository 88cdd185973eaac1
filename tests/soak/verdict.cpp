#include "verdict.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace l2c::soak {

namespace {

constexpr double mebi = 1 << 20;

// Limits in docs/decisions.md, 42, with what was measured.
// A tenth of fewer runs is still part of the warming up.
constexpr std::size_t enough_runs = 500;
// Runs under way hold more or less by chance.
constexpr double most_growth_of_medians = 24 * mebi;
// Nothing is under way; malloc's arenas keep more or less of what was freed.
constexpr double most_quiet_growth = 16 * mebi;
// Nothing is under way, and what malloc has handed out is counted exactly.
constexpr double most_in_use_growth = mebi / 16;
// Beside what is documented: stacks, results, requests, and what malloc's arenas keep between
// pieces in use.
constexpr double allowance_per_thread = 4 * mebi;

double median(std::vector<std::int64_t> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return static_cast<double>(*middle);
}

// Least squares over the runs' numbers.
double slope_of(const std::vector<std::int64_t>& values) {
  const auto n = static_cast<double>(values.size());
  const double middle = (n - 1) / 2;
  double above = 0, below = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double x = static_cast<double>(i) - middle;
    above += x * static_cast<double>(values[i]);
    below += x * x;
  }
  return below > 0 ? above / below : 0;
}

std::size_t count_of(const Findings& findings, Ended ended) {
  const auto found = findings.ended.find(name_of(ended));
  return found == findings.ended.end() ? 0 : found->second;
}

double difference(int later, int earlier) { return std::abs(later - earlier); }

// By the runs' own promise: Request::memory_limit bytes each beside the weights.
double most_peak(const Findings& findings, const Options& options) {
  return static_cast<double>(findings.base.resident) +
         static_cast<double>(options.threads) *
             (static_cast<double>(options.memory_limit) + allowance_per_thread);
}

void judge_resident(const Findings& findings, std::vector<Criterion>& criteria) {
  const auto medians = growth_of(findings).median_resident;
  criteria.push_back({"resident while runs go on, median of last tenth above second's",
                      medians.back() - medians[1], most_growth_of_medians, "bytes"});
  const auto quiet = [&](const Tenth& tenth) { return static_cast<double>(tenth.quiet.resident); };
  criteria.push_back({"resident after last tenth above second's",
                      quiet(findings.tenths.back()) - quiet(findings.tenths[1]), most_quiet_growth,
                      "bytes"});
}

bool memory_is_malloc(const Findings& findings) { return findings.base.in_use.has_value(); }

}  // namespace

Growth growth_of(const Findings& findings) {
  Growth growth;
  std::vector<std::int64_t> warm;
  for (std::size_t i = 0; i < findings.tenths.size(); ++i) {
    const auto& resident = findings.tenths[i].resident;
    growth.median_resident.push_back(median(resident));
    if (i > 0) warm.insert(warm.end(), resident.begin(), resident.end());
  }
  growth.slope = slope_of(warm);
  return growth;
}

std::vector<Criterion> judge(const Findings& findings, const Options& options) {
  const auto& second = findings.tenths[1].quiet;
  const auto& last = findings.tenths.back().quiet;
  const std::size_t not_cancelled = options.runs - count_of(findings, Ended::stopped);
  std::vector<Criterion> criteria{
      {"runs with a problem", static_cast<double>(findings.wrong), 0, "runs"},
      // Half of them are to be cancelled; some stops come too late.
      {"runs that were not cancelled", static_cast<double>(not_cancelled),
       static_cast<double>(options.runs * 55 / 100), "runs"},
      {"threads, last tenth against second", difference(last.threads, second.threads), 0,
       "threads"},
      {"open files, last tenth against second", difference(last.open_files, second.open_files), 0,
       "files"}};
  if (!memory_is_malloc(findings)) return criteria;
  if (options.runs >= enough_runs) judge_resident(findings, criteria);
  criteria.push_back({"in use by malloc after last tenth above second's",
                      static_cast<double>(*last.in_use - *second.in_use), most_in_use_growth,
                      "bytes"});
  criteria.push_back(
      {"peak resident", static_cast<double>(findings.peak), most_peak(findings, options), "bytes"});
  return criteria;
}

}  // namespace l2c::soak
