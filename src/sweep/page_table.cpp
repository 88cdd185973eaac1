// The page's table, one row a point.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "l2c/core/html.h"
#include "l2c/core/words.h"
#include "numbers.h"
#include "page_parts.h"

namespace l2c {

namespace {

struct Column {
  const char* heading;
  std::string (*cell)(const SweepPoint&, const SweepNumbers&);
};

std::string with_middle_half(double value, const Quartiles& quartiles, double scale, int digits,
                             const char* unit) {
  return fmt::format("{:.{}f}{} ({:.{}f}–{:.{}f})", scale * value, digits, unit,
                     scale * quartiles.low, digits, scale * quartiles.high, digits);
}

constexpr std::array columns{
    Column{"Fréchet distance<br>(lower is better)",
           [](const SweepPoint&, const SweepNumbers& n) { return spread_in_words(n.frechet, 3); }},
    Column{"against<br>full",
           [](const SweepPoint& p, const SweepNumbers& n) {
             return p.policy == "full" ? std::string("–") : percent_in_words(n.above_full);
           }},
    Column{"ms an image,<br>measured",
           [](const SweepPoint&, const SweepNumbers& n) {
             return with_middle_half(n.seconds_per_image, n.seconds_quartiles, 1000, 1, "");
           }},
    Column{"speed-up,<br>measured",
           [](const SweepPoint&, const SweepNumbers& n) {
             return with_middle_half(n.speedup, n.speedup_quartiles, 1, 2, "×");
           }},
    Column{"speed-up,<br>ideal",
           [](const SweepPoint& p, const SweepNumbers&) {
             return fmt::format("{:.2f}×", p.ideal_speedup);
           }},
    Column{"work<br>an image",
           [](const SweepPoint& p, const SweepNumbers&) { return with_prefix(p.flops, "FLOP"); }},
    Column{"stored<br>an image",
           [](const SweepPoint& p, const SweepNumbers&) {
             return bytes_text(static_cast<double>(p.cache_bytes));
           }},
    Column{"KID<br>× 1000", [](const SweepPoint&,
                               const SweepNumbers& n) { return spread_in_words(n.kid, 2, 1000); }},
    Column{"precision", [](const SweepPoint&,
                           const SweepNumbers& n) { return spread_in_words(n.precision, 3); }},
    Column{"recall",
           [](const SweepPoint&, const SweepNumbers& n) { return spread_in_words(n.recall, 3); }},
    Column{"inception<br>score",
           [](const SweepPoint&, const SweepNumbers& n) {
             return spread_in_words(n.inception_score, 2);
           }},
    Column{"right class<br>%",
           [](const SweepPoint&, const SweepNumbers& n) {
             return spread_in_words(n.accuracy, 1, 100);
           }},
};

std::string row(const SweepPoint& point) {
  std::string classes;
  if (point.on_front) classes = "front";
  if (!point.reporting) classes = "choosing";
  auto cells = fmt::format("<td title=\"{}\">{}{}</td>", escaped_html(point.policy),
                           point.on_front ? "● " : "", escaped_html(point.name));
  for (const auto& column : columns) {
    cells += fmt::format("<td>{}</td>", column.cell(point, point.result()));
  }
  cells += fmt::format("<td class=\"word\">{}</td>", point.reporting ? "reporting" : "choosing");
  return fmt::format("<tr class=\"{}\">{}</tr>\n", classes, cells);
}

}  // namespace

std::string table_html(const SweepRecord& record) {
  std::vector<std::size_t> order(record.points.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return record.comparable_seconds(a) < record.comparable_seconds(b);
  });
  std::string rows;
  for (const auto number : order) rows += row(record.points[number]);
  std::string headings = "<th>policy</th>";
  for (const auto& column : columns) headings += fmt::format("<th>{}</th>", column.heading);
  return fmt::format(
      "<p class=\"hint\">Fastest first. ● and a blue row: on the front, so nothing measured was "
      "both faster and better when it was chosen; its numbers, as those of full and of what is "
      "recommended, come from the reporting seeds. Gray rows: measured on the choosing seeds only, "
      "and timed along with all points: compare percentages, not distances, and speed-ups, not "
      "times (the order does that). ± is the standard deviation over the seeds; in brackets the "
      "middle half of the "
      "rounds of "
      "timing.</p>\n<div class=\"scroll\"><table>\n<thead><tr>{}<th class=\"word\">seeds</th>"
      "</tr></thead>\n<tbody>\n{}</tbody>\n</table></div>\n",
      headings, rows);
}

}  // namespace l2c
