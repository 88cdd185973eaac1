#include "report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace l2c::soak {

namespace {

using Json = nlohmann::ordered_json;

Json optional_json(const std::optional<std::int64_t>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json state_json(const ProcessState& state) {
  return {{"resident_bytes", state.resident},
          {"malloc_in_use_bytes", optional_json(state.in_use)},
          {"threads", state.threads},
          {"open_files", state.open_files}};
}

Json tenth_json(const Tenth& tenth, double median) {
  const auto [least, most] = std::minmax_element(tenth.resident.begin(), tenth.resident.end());
  return {{"runs", tenth.resident.size()},
          {"seconds", tenth.seconds},
          {"resident_bytes", {{"median", median}, {"least", *least}, {"most", *most}}},
          {"quiet", state_json(tenth.quiet)}};
}

Json machine_json(const Options& options) {
  const BuildInfo info = build_info();
  return {{"l2c", info.version},
          {"compiler", info.compiler},
          {"libtorch", info.libtorch},
          {"cpu", info.cpu_model},
          {"cpu_features", info.cpu_features},
          {"threads_within_a_run", options.pool_threads > 0 ? options.pool_threads : info.threads}};
}

Json criteria_json(const std::vector<Criterion>& criteria) {
  Json all = Json::array();
  for (const Criterion& c : criteria) {
    all.push_back({{"name", c.name},
                   {"value", c.value},
                   {"most", c.limit},
                   {"unit", c.unit},
                   {"kept", c.kept()}});
  }
  return all;
}

Json cases_json(const Findings& findings) {
  Json all = Json::array();
  for (const Case& which : findings.cases) all.push_back(which.name);
  return all;
}

}  // namespace

std::string to_json(const Options& options, const Findings& findings,
                    const std::vector<Criterion>& criteria) {
  const Growth growth = growth_of(findings);
  Json tenths = Json::array();
  Json resident = Json::array();  // in KiB, as the system counts
  for (std::size_t i = 0; i < findings.tenths.size(); ++i) {
    tenths.push_back(tenth_json(findings.tenths[i], growth.median_resident[i]));
    for (const std::int64_t bytes : findings.tenths[i].resident) resident.push_back(bytes / 1024);
  }
  const bool kept =
      std::all_of(criteria.begin(), criteria.end(), [](const auto& c) { return c.kept(); });
  const Json report{{"kind", "l2c soak"},
                    {"machine", machine_json(options)},
                    {"runs", options.runs},
                    {"threads", options.threads},
                    {"dtypes", options.dtypes},
                    {"seed", options.seed},
                    {"memory_limit_bytes", options.memory_limit},
                    {"seconds", findings.seconds},
                    {"passed", kept},
                    {"criteria", criteria_json(criteria)},
                    {"were_to", findings.meant},
                    {"ended", findings.ended},
                    {"compared_bit_for_bit", findings.compared},
                    {"problems", findings.problems},
                    {"base", state_json(findings.base)},
                    {"peak_resident_bytes", findings.peak},
                    {"resident_slope_bytes_per_run", growth.slope},
                    {"tenths", tenths},
                    {"requests", cases_json(findings)},
                    {"resident_kib_after_each_run", resident}};
  return report.dump(1);
}

}  // namespace l2c::soak
