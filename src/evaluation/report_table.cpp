#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "l2c/core/error.h"
#include "l2c/core/words.h"
#include "l2c/evaluation/report.h"

namespace l2c {

namespace {

using Json = nlohmann::json;

// All rows are as wide as the longest label: a recorded one may be of any length.
constexpr std::size_t longest_label = 1000;

// The short name of each, or the whole text where two policies have the same short one.
std::vector<std::string> labels(const Json& policies) {
  std::map<std::string, int> same;
  for (const Json& policy : policies) ++same[policy.at("name").get<std::string>()];
  std::vector<std::string> labels;
  for (const Json& policy : policies) {
    const auto name = policy.at("name").get<std::string>();
    const auto text = same.at(name) > 1 ? policy.at("spec").get<std::string>() : name;
    labels.push_back(one_line(text, longest_label));
  }
  return labels;
}

std::string number(const Json& value, int digits, double scale = 1, const char* unit = "") {
  if (value.is_null()) return "-";  // not measured
  return fmt::format("{:.{}f}{}", scale * value.get<double>(), digits, unit);
}

std::string spread(const Json& value, int digits, double scale) {
  const auto mean = number(value.at("mean"), digits, scale);
  const Json& deviation = value.at("deviation");
  return fmt::format("{} ± {}", mean, number(deviation, digits, scale));
}

// With the middle half of the rounds.
std::string speedup(const Json& timing) {
  const Json& quartiles = timing.at("speedup_quartiles");
  return fmt::format("{} ({}-{})", number(timing.at("speedup"), 2, 1, "x"),
                     number(quartiles.at("low"), 2), number(quartiles.at("high"), 2));
}

// A measure of quality: a mean with its spread over the seeds.
struct Measure {
  const char* title;
  const char* key;
  int digits;
  double scale = 1;
};
constexpr std::array<Measure, 8> measures{{{"Fréchet", "frechet", 3},
                                           {"spatial Fréchet", "spatial_frechet", 3},
                                           {"KID x 1000", "kid", 2, 1000},
                                           {"precision", "precision", 3},
                                           {"recall", "recall", 3},
                                           {"inception", "inception_score", 3},
                                           {"inception (one)", "inception_score_whole", 3},
                                           {"accuracy %", "accuracy", 2, 100}}};

// Whether any policy has it. The two of the Inception network are shown with it alone.
bool is_shown(const Json& policies, const Measure& measure) {
  const auto has = [&](const char* key) {
    return std::any_of(policies.begin(), policies.end(), [&](const Json& policy) {
      return policy.contains(key) && !policy.at(key).at("mean").is_null();
    });
  };
  const bool whole = std::string_view(measure.key) == "inception_score_whole";
  return has(measure.key) && !(whole && has("accuracy"));
}

constexpr int spread_width = 18;
constexpr int speedup_width = 22;
constexpr int plain_width = 11;

// fmt counts what a terminal shows, so that "±" takes one column.
std::string cell(const std::string& text, int width) { return fmt::format("{:>{}}", text, width); }

std::string head(const std::vector<Measure>& shown, std::size_t width) {
  std::string line = fmt::format("{:<{}}", "policy", width);
  for (const auto& measure : shown) line += cell(measure.title, spread_width);
  line += cell("speed-up", speedup_width);
  for (const char* title : {"ideal", "ms/image", "computed %", "cache kB"}) {
    line += cell(title, plain_width);
  }
  return line + "\n";
}

std::string row(const Json& policy, const std::string& label, const std::vector<Measure>& shown,
                std::size_t width) {
  std::string line = fmt::format("{:<{}}", label, width);
  for (const auto& measure : shown) {
    line += cell(spread(policy.at(measure.key), measure.digits, measure.scale), spread_width);
  }
  const Json& timing = policy.at("timing");
  line += cell(speedup(timing), speedup_width);
  line += cell(number(policy.at("ideal_speedup"), 2, 1, "x"), plain_width);
  line += cell(number(timing.at("seconds_per_image"), 2, 1000), plain_width);
  line += cell(number(policy.at("computed_share"), 1, 100), plain_width);
  line += cell(number(policy.at("cache_bytes"), 0, 1e-3), plain_width);
  return line + "\n";
}

std::string table(const Json& policies, const std::string& where) {
  if (!policies.is_array() || policies.empty()) {
    throw InputError(fmt::format("{} is not a report of l2c eval: it has no policies", where));
  }
  const auto names = labels(policies);
  std::size_t width = 8;
  for (const auto& name : names) width = std::max(width, name.size());
  std::vector<Measure> shown;
  for (const auto& measure : measures) {
    if (is_shown(policies, measure)) shown.push_back(measure);
  }
  std::string lines = head(shown, width);
  for (std::size_t i = 0; i < names.size(); ++i) lines += row(policies[i], names[i], shown, width);
  return lines;
}

}  // namespace

std::string recorded_table(const std::string& json, const std::string& where) {
  try {
    const Json report = Json::parse(json);
    if (!report.is_object() || !report.contains("policies")) {
      throw InputError(
          fmt::format("{} is not a report of l2c eval: it is JSON without \"policies\"", where));
    }
    return table(report["policies"], where);
  } catch (const Json::exception& error) {
    constexpr std::size_t longest_remark = 400;
    throw InputError(fmt::format("{} is not a report of l2c eval: {}", where,
                                 one_line(error.what(), longest_remark)));
  }
}

}  // namespace l2c
