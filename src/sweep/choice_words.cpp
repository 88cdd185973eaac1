// Recommendations for people who decide on cost.
#include <fmt/format.h>

#include "l2c/core/words.h"
#include "l2c/sweep/choice.h"
#include "numbers.h"

namespace l2c {

namespace {

std::string quality_words(const SweepNumbers& numbers) {
  return fmt::format("Fréchet distance {} against computing everything",
                     percent_in_words(numbers.above_full));
}

// Whether the budget, met on the choosing seeds, is met by the reported numbers.
std::string verdict(const SweepBudget& budget, const SweepPoint& point) {
  if (!point.reporting || !missed(budget, *point.reporting)) return {};
  const SweepNumbers& numbers = *point.reporting;
  if (budget.kind == SweepBudget::Kind::quality) {
    return fmt::format(
        " On these fresh seeds the budget is missed by {:.1f} points (where it was chosen: {}); "
        "take the recommendation for a smaller budget to be on the safe side.",
        numbers.above_full.mean - budget.value, percent_in_words(point.choosing.above_full));
  }
  return fmt::format(" In this second timing the wanted speed-up is missed by {:.2f}x.",
                     budget.value - numbers.speedup);
}

// Nothing is faster than the work it saves, beyond the noise of timing.
std::string doubt(const SweepPoint& point) {
  constexpr double noise = 1.05;
  if (point.result().speedup <= noise * point.ideal_speedup) return {};
  return " The measured speed-up is above the ideal one, so the machine was busy with other "
         "things: "
         "time with more --rounds, or when it is idle.";
}

}  // namespace

std::string in_words(const SweepBudget& budget) {
  return budget.kind == SweepBudget::Kind::quality
             ? fmt::format("at most +{} % Fréchet distance", budget.value)
             : fmt::format("at least {}x as fast", budget.value);
}

std::string in_words(const SweepRecord& record, const SweepRecommendation& recommendation) {
  const auto budget = in_words(recommendation.budget);
  if (!recommendation.point) {
    const bool quality = recommendation.budget.kind == SweepBudget::Kind::quality;
    return fmt::format("Nothing meets \"{}\": {}. Keep computing everything, or {}.", budget,
                       recommendation.reason, quality ? "allow more" : "be content with less");
  }
  const SweepPoint& point = record.points[*recommendation.point];
  const SweepNumbers& numbers = point.result();
  const double seconds = record.comparable_seconds(*recommendation.point);
  return fmt::format(
      "{}: {:.2f}x as fast as computing everything, measured ({} instead of {} an image; ideal "
      "{:.2f}x), {}, {} stored an image while sampling.{}{}",
      point.name, numbers.speedup, seconds_in_words(seconds),
      seconds_in_words(seconds * numbers.speedup), point.ideal_speedup, quality_words(numbers),
      bytes_text(static_cast<double>(point.cache_bytes)), verdict(recommendation.budget, point),
      doubt(point));
}

}  // namespace l2c
