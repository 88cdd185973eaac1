#include "report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "console.h"
#include "l2c/core/error.h"
#include "l2c/io/file.h"
#include "l2c/io/json_text.h"

namespace l2c::cli {

namespace {

constexpr std::size_t most_names_of_ours = 1000;

// Of all objects in it.
std::size_t most_names(const nlohmann::json& json) {
  if (!json.is_structured()) return 0;
  std::size_t most = json.is_object() ? json.size() : 0;
  for (const auto& value : json) most = std::max(most, most_names(value));
  return most;
}

std::vector<float> cut_to_pixels(std::vector<float> values) {
  for (float& value : values) value = std::clamp(value, -1.0F, 1.0F);
  return values;
}

std::string reused_text(const RunStats& stats) {
  if (stats.cache_step_branches == 0) return fmt::format("{}", stats.reused);
  return fmt::format("{} of {}", stats.reused, stats.cache_step_branches);
}

std::string psnr_text(const Difference& difference) {
  return std::isinf(difference.psnr_db) ? "identical"
                                        : fmt::format("{:.1f} dB", difference.psnr_db);
}

std::string row(std::string_view name, std::string_view full, std::string_view cached) {
  return fmt::format("  {:<28}{:>14}{:>20}\n", name, full, cached);
}

std::string comparison_table(const RunStats& cached, const Comparison& c) {
  std::string table = row("", "all computed", "cached");
  table += row("steps", fmt::format("{}", c.full.steps), fmt::format("{}", cached.steps));
  table += row("branches computed an image", fmt::format("{}", c.full.computed),
               fmt::format("{}", cached.computed));
  table += row("reused, of the cache steps'", "-", reused_text(cached));
  table += row("seconds", fmt::format("{:.2f}", c.full.denoise_seconds),
               fmt::format("{:.2f}", cached.denoise_seconds));
  table += row("speed-up, measured", "-", fmt::format("{:.2f}x", c.speedup));
  table += row("speed-up, ideal (MACs)", "-", fmt::format("{:.2f}x", cached.ideal_speedup));
  table += row("stored for one image", "-", bytes_text(static_cast<double>(cached.cache_bytes)));
  table += row("PSNR to all computed", "-", psnr_text(c.difference));
  table += row("largest difference", "-", fmt::format("{:.3g}", c.difference.max_abs));
  return table;
}

}  // namespace

Comparison compare(const Result& cached, const Result& full, bool pixels) {
  Comparison comparison;
  comparison.full = full.stats;
  comparison.speedup = full.stats.denoise_seconds / cached.stats.denoise_seconds;
  if (pixels) {
    comparison.difference =
        difference(cut_to_pixels(cached.latents.values), cut_to_pixels(full.latents.values), 2);
  } else {
    const auto [low, high] =
        std::minmax_element(full.latents.values.begin(), full.latents.values.end());
    const double range = std::max(double{*high} - double{*low}, 1e-12);
    comparison.difference = difference(cached.latents.values, full.latents.values, range);
  }
  return comparison;
}

std::string stats_table(const RunStats& stats, const std::optional<Comparison>& comparison) {
  if (comparison) return comparison_table(stats, *comparison);
  return fmt::format(
      "  {} images, {} steps in {:.2f} s: {} branches computed and {} reused an image "
      "(ideal speed-up {:.2f}x, {} stored for one image)\n",
      stats.images, stats.steps, stats.denoise_seconds, stats.computed, reused_text(stats),
      stats.ideal_speedup, bytes_text(static_cast<double>(stats.cache_bytes)));
}

nlohmann::ordered_json stats_json(const RunStats& stats,
                                  const std::optional<Comparison>& comparison) {
  nlohmann::ordered_json json{{"denoise_seconds", stats.denoise_seconds},
                              {"images", stats.images},
                              {"batch_size", stats.batch_size},
                              {"steps", stats.steps},
                              {"computed", stats.computed},
                              {"reused", stats.reused},
                              {"cache_step_branches", stats.cache_step_branches},
                              {"ideal_speedup", stats.ideal_speedup},
                              {"cache_bytes", stats.cache_bytes}};
  if (comparison) {
    const Difference& difference = comparison->difference;
    json["compare"] = {
        {"full", stats_json(comparison->full, std::nullopt)},
        {"speedup", comparison->speedup},
        // JSON knows no infinity: null means that nothing differs.
        {"psnr_db", std::isinf(difference.psnr_db) ? nlohmann::ordered_json(nullptr)
                                                   : nlohmann::ordered_json(difference.psnr_db)},
        {"max_difference", difference.max_abs}};
  }
  return json;
}

std::string json_text(const nlohmann::ordered_json& json) {
  return printable_json(json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

std::string printable_json(std::string_view json) {
  std::string text;
  text.reserve(json.size());
  for (std::size_t i = 0; i < json.size(); ++i) {
    const auto next = i + 1 < json.size() ? static_cast<unsigned char>(json[i + 1]) : 0U;
    if (json[i] == '\x7f') {
      text += "\\u007f";
    } else if (json[i] == '\xc2' && next < 0xa0) {
      text += fmt::format("\\u{:04x}", next);  // two bytes for U+0080 to U+009F
      ++i;
    } else if (json[i] != '\r') {
      text += json[i];
    }
  }
  return text;
}

nlohmann::ordered_json parse_in_order(const std::string& text, const std::string& where) {
  io::check_json_text(text, where);
  // What keeps the order looks each name up among all before it: others are counted first.
  const auto sorted = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (most_names(sorted) > most_names_of_ours) {
    throw InputError(fmt::format(
        "{}: JSON with more than {} names in one object; check that it is the right file", where,
        most_names_of_ours));
  }
  return nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
}

void write_text(const std::string& path, const std::string& text) {
  io::AtomicFile file(path);
  file.write(text + "\n");
  file.commit();
}

void write_json(const std::string& path, const nlohmann::ordered_json& json) {
  write_text(path, json_text(json));
}

}  // namespace l2c::cli
