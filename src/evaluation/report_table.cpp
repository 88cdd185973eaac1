#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "l2c/core/error.h"
#include "l2c/evaluation/report.h"

namespace l2c {

namespace {

using Json = nlohmann::json;

// The short name, or the whole text where two policies have the same short one.
std::string label(const Json& policies, const Json& policy) {
  const auto same = std::count_if(policies.begin(), policies.end(), [&](const auto& other) {
    return other.at("name") == policy.at("name");
  });
  return policy.at(same > 1 ? "spec" : "name").get<std::string>();
}

std::string number(const Json& value, int digits, double scale = 1, const char* unit = "") {
  return fmt::format("{:.{}f}{}", scale * value.get<double>(), digits, unit);
}

std::string spread(const Json& policy, const char* name, int digits, double scale = 1) {
  const Json& value = policy.at(name);
  const auto mean = number(value.at("mean"), digits, scale);
  const Json& deviation = value.at("deviation");
  return fmt::format("{} ± {}", mean, deviation.is_null() ? "-" : number(deviation, digits, scale));
}

// With the middle half of the rounds.
std::string speedup(const Json& timing) {
  const Json& quartiles = timing.at("speedup_quartiles");
  return fmt::format("{} ({}-{})", number(timing.at("speedup"), 2, 1, "x"),
                     number(quartiles.at("low"), 2), number(quartiles.at("high"), 2));
}

// Six with a spread, the speed-up, the rest.
int width_of(std::size_t column) { return column <= 6 ? 18 : column == 7 ? 22 : 11; }

// fmt counts what a terminal shows, so that "±" takes one column.
std::string row(std::size_t width, const std::vector<std::string>& cells) {
  std::string line = fmt::format("{:<{}}", cells.front(), width);
  for (std::size_t k = 1; k < cells.size(); ++k) {
    line += fmt::format("{:>{}}", cells[k], width_of(k));
  }
  return line + "\n";
}

std::string table(const Json& policies, const std::string& where) {
  if (!policies.is_array() || policies.empty()) {
    throw InputError(fmt::format("{} is not a report of l2c eval: it has no policies", where));
  }
  std::size_t width = 8;
  for (const Json& policy : policies) width = std::max(width, label(policies, policy).size());
  std::string lines =
      row(width, {"policy", "Fréchet", "KID x 1000", "precision", "recall", "inception",
                  "accuracy %", "speed-up", "ideal", "ms/image", "computed %", "cache kB"});
  for (const Json& policy : policies) {
    const Json& timing = policy.at("timing");
    lines += row(
        width,
        {label(policies, policy), spread(policy, "frechet", 3), spread(policy, "kid", 2, 1000),
         spread(policy, "precision", 3), spread(policy, "recall", 3),
         spread(policy, "inception_score", 3), spread(policy, "accuracy", 2, 100), speedup(timing),
         number(policy.at("ideal_speedup"), 2, 1, "x"),
         number(timing.at("seconds_per_image"), 2, 1000),
         number(policy.at("computed_share"), 1, 100), number(policy.at("cache_bytes"), 0, 1e-3)});
  }
  return lines;
}

}  // namespace

std::string recorded_table(const std::string& json, const std::string& where) {
  try {
    return table(Json::parse(json).at("policies"), where);
  } catch (const Json::exception& error) {
    throw InputError(fmt::format("{} is not a report of l2c eval: {}", where, error.what()));
  }
}

}  // namespace l2c
