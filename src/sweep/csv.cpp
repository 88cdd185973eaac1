#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "l2c/sweep/files.h"

namespace l2c {

namespace {

// One field: in quotes where it holds what separates fields.
std::string field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char letter : text) {
    if (letter == '"') quoted += '"';
    quoted += letter;
  }
  return quoted + '"';
}

// Nothing for what was not measured.
std::string measured(double value) {
  return std::isnan(value) ? std::string() : fmt::format("{}", value);
}

std::string deviation(const Spread& spread) {
  return spread.deviation ? measured(*spread.deviation) : std::string();
}

std::string budgets_of(const SweepRecord& record, std::size_t number) {
  std::string budgets;
  for (const auto& found : record.recommendations) {
    if (found.point != number) continue;
    if (!budgets.empty()) budgets += "; ";
    budgets += found.budget.kind == SweepBudget::Kind::quality
                   ? fmt::format("+{}%", found.budget.value)
                   : fmt::format("{}x", found.budget.value);
  }
  return budgets;
}

constexpr const char* header =
    "policy,name,family,steps,on_front,recommended_for,seeds_for,seeds,frechet,frechet_sd,"
    "above_full_percent,above_full_percent_sd,seconds_per_image,seconds_low,seconds_high,speedup,"
    "speedup_low,speedup_high,ideal_speedup,flops_per_image,cache_bytes_per_image,kid,kid_sd,"
    "precision,precision_sd,recall,recall_sd,inception_score,inception_score_sd,accuracy,"
    "accuracy_sd,use,reproduce\r\n";

std::string line(const SweepRecord& record, std::size_t number, const SweepNumbers& numbers,
                 const char* purpose, const std::vector<std::uint64_t>& seeds) {
  const SweepPoint& point = record.points[number];
  std::vector<std::string> fields{point.policy,
                                  point.name,
                                  point.family,
                                  fmt::format("{}", point.steps),
                                  point.on_front ? "yes" : "no",
                                  budgets_of(record, number),
                                  purpose,
                                  fmt::format("{}", fmt::join(seeds, " ")),
                                  fmt::format("{}", numbers.frechet.mean),
                                  deviation(numbers.frechet),
                                  fmt::format("{}", numbers.above_full.mean),
                                  deviation(numbers.above_full)};
  for (const double value :
       {numbers.seconds_per_image, numbers.seconds_quartiles.low, numbers.seconds_quartiles.high,
        numbers.speedup, numbers.speedup_quartiles.low, numbers.speedup_quartiles.high,
        point.ideal_speedup, point.flops}) {
    fields.push_back(fmt::format("{}", value));
  }
  fields.push_back(fmt::format("{}", point.cache_bytes));
  for (const auto* spread : {&numbers.kid, &numbers.precision, &numbers.recall,
                             &numbers.inception_score, &numbers.accuracy}) {
    fields.push_back(measured(spread->mean));
    fields.push_back(deviation(*spread));
  }
  fields.push_back(point.use);
  fields.push_back(point.reproduce);
  for (auto& text : fields) text = field(text);
  return fmt::format("{}\r\n", fmt::join(fields, ","));
}

}  // namespace

std::string sweep_csv(const SweepRecord& record) {
  std::string text = header;
  for (std::size_t k = 0; k < record.points.size(); ++k) {
    const SweepPoint& point = record.points[k];
    text += line(record, k, point.choosing, "choosing", record.choosing_seeds);
    if (point.reporting) {
      text += line(record, k, *point.reporting, "reporting", record.reporting_seeds);
    }
  }
  return text;
}

}  // namespace l2c
