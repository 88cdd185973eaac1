// The numbers of a run, as a table and as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "l2c/metrics/psnr.h"
#include "l2c/sampling/request.h"

namespace l2c::cli {

// What the cache saved and what it cost, against the same seeds with everything computed.
struct Comparison {
  RunStats full;
  Difference difference;
  double speedup = 1;  // seconds of the full run / seconds of the cached one
};

// Pixels are cut to [-1, 1] first (their range is 2); for latents the range is the full run's.
Comparison compare(const Result& cached, const Result& full, bool pixels);

std::string stats_table(const RunStats& stats, const std::optional<Comparison>& comparison);

// Keys denoise_seconds, computed, reused, ideal_speedup, cache_bytes, ... and `compare`.
nlohmann::ordered_json stats_json(const RunStats& stats,
                                  const std::optional<Comparison>& comparison);

// Indented, as printable_json. Bytes that are not UTF-8 (file and tensor names may hold them) are
// replaced.
std::string json_text(const nlohmann::ordered_json& json);

// The same JSON for a terminal: DEL and C1, which JSON allows as they are, escaped, and no carriage
// returns between its parts. `json` has been parsed: it is sound.
std::string printable_json(std::string_view json);

// Foreign JSON with names in its own order; discarded where it is no JSON. Throws InputError for
// what io::check_json_text refuses and for more names in one object than anything of ours has.
nlohmann::ordered_json parse_in_order(const std::string& text, const std::string& where);

// Write aside and rename: a text with a line break behind it, and JSON. Throw InputError, RunError.
void write_text(const std::string& path, const std::string& text);
void write_json(const std::string& path, const nlohmann::ordered_json& json);

}  // namespace l2c::cli
