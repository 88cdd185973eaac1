// The page as a whole, its recommendations and its texts.
#include <fmt/format.h>

#include <iterator>

#include "l2c/core/html.h"
#include "l2c/sweep/choice.h"
#include "l2c/sweep/files.h"
#include "numbers.h"
#include "page_parts.h"

namespace l2c {

namespace {

std::string card(const SweepRecord& record, const SweepRecommendation& found) {
  const auto heading = fmt::format(
      "<h3>You {} {}</h3>", found.budget.kind == SweepBudget::Kind::quality ? "allow" : "want",
      escaped_html(in_words(found.budget)));
  const auto words = escaped_html(in_words(record, found));
  if (!found.point) {
    return fmt::format(
        "<div class=\"card none\">{}<p class=\"big\">computing everything</p><p>{}"
        "</p></div>\n",
        heading, words);
  }
  const SweepPoint& point = record.points[*found.point];
  const SweepNumbers& numbers = point.result();
  auto use = point.use.empty()
                 ? std::string()
                 : fmt::format("<p>To use it, type:</p><pre>{}</pre>", escaped_html(point.use));
  return fmt::format(
      "<div class=\"card{}\">{}<p class=\"big\">{:.2f}× as fast <small>with {}, Fréchet "
      "{}</small></p>"
      "<p>{}</p>{}</div>\n",
      missed(found.budget, numbers) ? " missed" : "", heading, numbers.speedup,
      escaped_html(point.name), percent_in_words(numbers.above_full), words, use);
}

std::string facts_table(const char* heading, const SweepFacts& facts) {
  std::string rows;
  for (const auto& [name, text] : facts) {
    rows += fmt::format("<tr><td>{}</td><td class=\"word\">{}</td></tr>\n", escaped_html(name),
                        escaped_html(text));
  }
  return fmt::format("<h3>{}</h3>\n<div class=\"scroll\"><table>\n{}</table></div>\n", heading,
                     rows);
}

std::string lead(const SweepRecord& record) {
  return fmt::format(
      "<p class=\"lead\">How much faster can <b>{}</b> make images, and what does that cost in "
      "quality? {} ways to run it were measured, {} images for each of the seeds {}. By those the "
      "best were chosen, and then measured again on the seeds {}, which had no part in the choice: "
      "what is recommended below is shown with these second numbers.</p>\n",
      escaped_html(record.model), record.points.size(), record.images,
      listed(record.choosing_seeds), listed(record.reporting_seeds));
}

constexpr const char* words = R"(<dl class="words">
<dt>Fréchet distance</dt><dd>How far the made images, as a whole, are from real ones; lower is better. "+2 %" is
against computing everything, from the same noise, seed by seed. It says nothing of a single image: look at them, too.</dd>
<dt>Speed-up, measured</dt><dd>Time of computing everything divided by this point's time, timed in turn on this machine.
<b>Ideal</b> is what the saved work alone would give: the rest is spent on what cannot be skipped.</dd>
<dt>Work</dt><dd>Floating-point operations an image, both passes of guidance counted.</dd>
<dt>Stored an image</dt><dd>The most memory that kept layer outputs take for each image that is made at a time; multiply
by the batch.</dd>
<dt>Front</dt><dd>The points worth a look: for every other one there is one that is at least as fast and as good, and
better in one of them.</dd>
<dt>Two sets of seeds</dt><dd>The best of many noisy numbers is partly luck. So the choice is made on some seeds and the
result shown from others.</dd>
</dl>
)";

}  // namespace

std::string section(std::string_view id, std::string_view heading, const std::string& body) {
  return fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n{}</section>\n", id, heading, body);
}

std::string recommendations_html(const SweepRecord& record) {
  if (record.recommendations.empty()) {
    return "<p>No budget was given; the front below is what to choose from.</p>\n";
  }
  std::string cards;
  for (const auto& found : record.recommendations) cards += card(record, found);
  return fmt::format("<div class=\"cards\">\n{}</div>\n", cards);
}

std::string commands_html(const SweepRecord& record) {
  std::string body =
      "<p class=\"hint\">For each point: how to sample with it, and how to measure "
      "it again.</p>\n";
  for (const auto& point : record.points) {
    body += fmt::format("<details class=\"command\"><summary>{} ({})</summary>",
                        escaped_html(point.name), escaped_html(point.policy));
    for (const auto* command : {&point.use, &point.reproduce}) {
      if (!command->empty()) body += fmt::format("<pre>{}</pre>", escaped_html(*command));
    }
    body += "</details>\n";
  }
  if (!record.command.empty()) {
    body += fmt::format("<p>The whole sweep:</p>\n<pre>{}</pre>\n", escaped_html(record.command));
  }
  return body;
}

std::string facts_html(const SweepRecord& record) {
  return facts_table("Settings", record.settings) + facts_table("Machine", record.machine) +
         facts_table("Fingerprints", record.fingerprints);
}

std::string sweep_page(const SweepRecord& record) {
  const auto title = fmt::format("Faster sampling of {}: what it costs", record.model);
  std::string page = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{}</title>\n{}</head>\n<body>\n<h1>{}</h1>\n{}",
      escaped_html(title), page_style(), escaped_html(title), lead(record));
  page += section("recommendations", "What to take", recommendations_html(record));
  page += section("charts", "Quality against cost", charts_html(record));
  page += section("numbers", "All numbers", table_html(record));
  page += section("images", "Images side by side", pictures_html(record));
  page += section("plans", "What is computed", heat_maps_html(record));
  page += section("commands", "Commands", commands_html(record));
  page += section("circumstances", "How it was measured", facts_html(record));
  page += section("words", "Words", words);
  return page + "</body>\n</html>\n";
}

}  // namespace l2c
