// The page's charts, images and heat maps.
#include <fmt/format.h>

#include <algorithm>

#include "l2c/cache/heat_map.h"
#include "l2c/core/html.h"
#include "l2c/io/png.h"
#include "l2c/sweep/files.h"
#include "numbers.h"
#include "page_parts.h"

namespace l2c {

namespace {

std::string picture(const std::string& base64_png, const std::string& alt,
                    const std::string& caption) {
  return fmt::format(
      "<figure><figcaption>{}</figcaption><img alt=\"{}\" src=\"data:image/png;base64,{}\">"
      "</figure>\n",
      caption, escaped_html(alt), escaped_html(base64_png));
}

std::string caption_of(const SweepPoint& point) {
  const SweepNumbers& numbers = point.result();
  return fmt::format("<b>{}</b>: {:.2f}×, Fréchet {}", escaped_html(point.name), numbers.speedup,
                     percent_in_words(numbers.above_full));
}

std::string key(const char* colour, const char* meaning) {
  return fmt::format("<span class=\"key\" style=\"background:{}\"></span> {}", colour, meaning);
}

}  // namespace

std::string charts_html(const SweepRecord& record) {
  std::string body =
      "<p class=\"hint\">One mark is one way to run the model. Filled: measured on the reporting "
      "seeds, with the spread over them; hollow: on the choosing seeds only, placed by their "
      "percentage above full and their speed-up. The line joins the "
      "front. An arrow at the upper edge: worse than the chart reaches. Rest the mouse on a mark "
      "for its numbers.</p>\n";
  for (const auto axis : {SweepAxis::time, SweepAxis::flops, SweepAxis::memory}) {
    body += fmt::format("<div class=\"chart\">{}</div>\n", svg(sweep_chart(record, axis)));
  }
  return body;
}

std::string pictures_html(const SweepRecord& record) {
  std::vector<const SweepPoint*> order;
  for (const auto& point : record.points) {
    if (!point.images.empty()) order.push_back(&point);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return a->result().speedup < b->result().speedup;
  });
  std::string tiles;
  for (const auto* point : order) {
    tiles += picture(point->images,
                     fmt::format("{} images made with {}", record.images_shown, point->name),
                     caption_of(*point));
  }
  return fmt::format(
      "<p class=\"hint\">The same {} images, from the same noise (seed {}) and of the same "
      "classes, "
      "with computing everything, each point of the front and what is recommended; slowest first."
      "</p>\n<div class=\"tiles samples\">\n{}</div>\n",
      record.images_shown, record.reporting_seeds.empty() ? 0 : record.reporting_seeds.front(),
      tiles);
}

std::string heat_maps_html(const SweepRecord& record) {
  std::string tiles;
  std::string adaptive;
  for (const auto& point : record.points) {
    if (!point.plan) {
      adaptive +=
          fmt::format("{}<b>{}</b>", adaptive.empty() ? "" : ", ", escaped_html(point.name));
      continue;
    }
    if (point.plan->reused() == 0) continue;
    const auto caption =
        fmt::format("{}; {} of {} branches computed", caption_of(point), point.plan->computed(),
                    point.plan->computed() + point.plan->reused());
    tiles += picture(base64(io::encode_png(draw_plan(*point.plan))),
                     fmt::format("what {} computes", point.name), caption);
  }
  if (!adaptive.empty()) {
    adaptive = fmt::format("<p>No picture: {}; what is computed is decided while sampling.</p>\n",
                           adaptive);
  }
  if (tiles.empty()) tiles = "<p>No point reuses anything by a plan.</p>\n";
  return fmt::format(
      "<p class=\"hint\">A row is a denoising step, the noisiest on top; a pair of columns is a "
      "block of the model (attention, MLP). {} &nbsp; {} &nbsp; {}</p>\n{}"
      "<div class=\"tiles plans\">\n{}</div>\n",
      key("#e0e0e0", "computed in full"), key("#d64c00", "computed, though reuse was possible"),
      key("#263447", "reused, not computed"), adaptive, tiles);
}

}  // namespace l2c
