#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "l2c/core/words.h"
#include "l2c/sweep/choice.h"
#include "l2c/sweep/files.h"
#include "numbers.h"

namespace l2c {

namespace {

// Colours that people with any kind of sight can tell apart (Okabe and Ito, "Color universal
// design", 2008) and two more; shapes change with them.
constexpr std::array<std::array<std::uint8_t, 3>, 8> colours{{{0, 114, 178},
                                                              {213, 94, 0},
                                                              {0, 158, 115},
                                                              {204, 121, 167},
                                                              {230, 159, 0},
                                                              {86, 180, 233},
                                                              {117, 66, 158},
                                                              {140, 86, 75}}};
constexpr std::array markers{Marker::circle, Marker::square, Marker::diamond, Marker::triangle};
constexpr std::array<std::uint8_t, 3> full_colour{70, 70, 70};
// Points worse than this times computing everything would flatten all others.
constexpr double worst_shown = 2;

struct Axis {
  const char* title;
  std::string label;
  double unit;  // of a number of the axis
  double (*value)(const SweepRecord&, std::size_t);
};

// The unit with which the largest number is at least 1.
std::pair<double, const char*> unit_of(
    double largest, std::initializer_list<std::pair<double, const char*>> units) {
  auto chosen = *units.begin();
  for (const auto& unit : units) {
    if (largest >= unit.first) chosen = unit;
  }
  return chosen;
}

double largest_of(const SweepRecord& record, double (*value)(const SweepRecord&, std::size_t)) {
  double largest = 0;
  for (std::size_t k = 0; k < record.points.size(); ++k) {
    largest = std::max(largest, value(record, k));
  }
  return largest;
}

Axis axis_of(const SweepRecord& record, SweepAxis axis) {
  if (axis == SweepAxis::time) {
    const auto value = [](const SweepRecord& r, std::size_t k) { return r.comparable_seconds(k); };
    const auto unit = unit_of(largest_of(record, value), {{1e-3, "milliseconds"}, {1, "seconds"}});
    return {"Quality against measured time: lower left is better",
            fmt::format("{} an image, measured (left is faster)", unit.second), unit.first, value};
  }
  if (axis == SweepAxis::flops) {
    const auto value = [](const SweepRecord& r, std::size_t k) { return r.points[k].flops; };
    const auto unit =
        unit_of(largest_of(record, value), {{1e6, "MFLOP"}, {1e9, "GFLOP"}, {1e12, "TFLOP"}});
    return {"Quality against work: lower left is better",
            fmt::format("{} an image (left is less work)", unit.second), unit.first, value};
  }
  const auto value = [](const SweepRecord& r, std::size_t k) {
    return static_cast<double>(r.points[k].cache_bytes);
  };
  const auto unit = unit_of(largest_of(record, value), {{1e3, "kB"}, {1e6, "MB"}, {1e9, "GB"}});
  return {"Quality against memory: lower left is better",
          fmt::format("{} stored for one image while sampling (left is less)", unit.second),
          unit.first, value};
}

std::size_t series_of(ScatterChart& chart, const std::string& family) {
  const auto known = std::find_if(chart.series.begin(), chart.series.end(),
                                  [&](const auto& series) { return series.name == family; });
  if (known != chart.series.end()) return static_cast<std::size_t>(known - chart.series.begin());
  const auto number = chart.series.size();
  ScatterSeries series{.name = family, .colour = full_colour, .marker = Marker::circle};
  if (number > 0) {  // computing everything is the first
    series.colour = colours[(number - 1) % colours.size()];
    // Where colours come again, with another shape.
    series.marker = markers[(number + (number - 1) / colours.size()) % markers.size()];
  }
  chart.series.push_back(series);
  return number;
}

bool recommended(const SweepRecord& record, std::size_t number) {
  return std::any_of(record.recommendations.begin(), record.recommendations.end(),
                     [&](const auto& found) { return found.point == number; });
}

std::string note_of(const SweepPoint& point) {
  const SweepNumbers& numbers = point.result();
  return fmt::format("{}: Fréchet {} ({}), {} an image, {:.2f}x, {}, {} stored{}", point.name,
                     spread_in_words(numbers.frechet, 3), percent_in_words(numbers.above_full),
                     seconds_in_words(numbers.seconds_per_image), numbers.speedup,
                     with_prefix(point.flops, "FLOP"),
                     bytes_text(static_cast<double>(point.cache_bytes)),
                     point.reporting ? "" : " (choosing seeds)");
}

// Through those of the front that are on it by their reported numbers, too: the others would only
// turn the line back.
void join_front(ScatterChart& chart, const SweepRecord& record) {
  std::vector<std::size_t> chosen;
  std::vector<CostAndLoss> numbers;
  for (std::size_t k = 0; k < record.points.size(); ++k) {
    if (!record.points[k].on_front) continue;
    chosen.push_back(k);
    numbers.push_back({.cost = chart.points[k].x, .loss = chart.points[k].y});
  }
  for (const auto number : pareto_front(numbers)) chart.line.push_back(chosen[number]);
  chart.line_name = "front";
}

}  // namespace

ScatterChart sweep_chart(const SweepRecord& record, SweepAxis axis) {
  const Axis scale = axis_of(record, axis);
  ScatterChart chart{.title = scale.title,
                     .x_label = scale.label,
                     .y_label = "Frechet distance to real images (lower is better)"};
  for (std::size_t k = 0; k < record.points.size(); ++k) {
    const SweepPoint& point = record.points[k];
    const SweepNumbers& numbers = point.result();
    const bool named = k == 0 || point.on_front || recommended(record, k);
    chart.points.push_back({.series = series_of(chart, point.family),
                            .x = scale.value(record, k) / scale.unit,
                            .y = record.comparable_frechet(k),
                            .spread = point.reporting ? numbers.frechet.deviation : std::nullopt,
                            .label = named ? point.name : std::string(),
                            .note = note_of(point),
                            .filled = point.reporting.has_value()});
  }
  const double full = record.points.front().result().frechet.mean;
  chart.level = full;
  chart.level_name = "as good as full";
  chart.top = worst_shown * full;
  chart.filled_name = "reported: fresh seeds";
  chart.hollow_name = "choosing seeds only";
  if (axis == SweepAxis::time) join_front(chart, record);
  return chart;
}

}  // namespace l2c
