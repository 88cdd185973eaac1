// l2c inspect: descriptions as text.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "console.h"
#include "inspecting.h"
#include "l2c/core/words.h"

namespace l2c::cli {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t longest_shown = 60;

std::string value_text(const Json& value) {
  return value.is_string() ? value.get<std::string>()
                           : value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// A name as no more than a part of its line.
std::string name_text(std::string_view name) { return one_line(name, name.size()); }

// A fact. Further lines of a foreign text begin further right than any line of ours.
void say_fact(std::string_view name, const std::string& text) {
  std::string line = fmt::format("  {:<22} ", name_text(name));
  for (const char letter : text) {
    line += letter;
    if (letter == '\n') line += "    ";
  }
  say(line);
}

// What two files say of one thing.
std::string pair_text(const Json& pair) {
  const auto text = [](const Json& value) {
    if (value.is_null()) return std::string("nothing");
    if (value.is_string() && value.get_ref<const std::string&>().empty()) {
      return std::string("nothing");
    }
    return one_line(value_text(value), longest_shown);
  };
  return fmt::format("{} | {}", text(pair[0]), text(pair[1]));
}

// "F32", or "Float | BFloat16" where they differ.
std::string both(const Json& pair) {
  const auto text = [](const Json& value) {
    return value.is_null() ? std::string("-") : value_text(value);
  };
  return pair[0] == pair[1] ? text(pair[0]) : fmt::format("{} | {}", text(pair[0]), text(pair[1]));
}

std::vector<std::string> row_of(const Json& tensor) {
  std::vector<std::string> row{name_text(value_text(tensor["name"])), value_text(tensor["state"]),
                               both(tensor["types"]), both(tensor["shapes"])};
  if (!tensor.contains("largest")) return row;
  row.push_back(fmt::format("{:.3g}", tensor["largest"].get<double>()));
  row.push_back(fmt::format("{:.3g}", tensor["relative"].get<double>()));
  std::string numbers = fmt::format("{} of {}", tensor["differing"].get<std::int64_t>(),
                                    tensor["of"].get<std::int64_t>());
  if (const auto odd = tensor["not_finite"].get<std::int64_t>(); odd > 0) {
    numbers += fmt::format(" ({} not finite)", odd);
  }
  row.push_back(std::move(numbers));
  return row;
}

void print_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line = " ";
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += i + 1 < row.size() ? fmt::format(" {:<{}} ", row[i], widths[i]) : " " + row[i];
    }
    say(line);
  }
}

// "52 of 54 tensors are the same; 2 differ in values; the largest difference is 0.5 (NAME)".
std::string summary(const Json& json) {
  std::int64_t tensors = 0;
  std::vector<std::string> parts;
  for (const auto& [state, number] : json["tensors"].items()) {
    const auto count = number.get<std::int64_t>();
    tensors += count;
    if (state == "same" || count == 0) continue;
    parts.push_back(
        fmt::format("{} {}{}", count, state.starts_with("only") ? "" : "differ in ", state));
  }
  std::string line = fmt::format("{} of {} tensors are the same",
                                 json["tensors"]["same"].get<std::int64_t>(), tensors);
  if (!parts.empty()) line += fmt::format("; {}", fmt::join(parts, ", "));
  double largest = 0;
  std::string where;
  for (const auto& tensor : json["differences"]) {
    const double here = tensor.value("largest", 0.0);
    if (here > largest) where = name_text(value_text(tensor["name"]));
    largest = std::max(largest, here);
  }
  if (largest > 0) line += fmt::format("; the largest difference is {:.6g} ({})", largest, where);
  return line;
}

void print_tensors(const Json& json) {
  if (!json["differences"].empty()) {
    std::vector<std::vector<std::string>> rows{
        {"tensor", "differs in", "type", "shape", "largest", "relative", "numbers"}};
    for (const auto& tensor : json["differences"]) rows.push_back(row_of(tensor));
    print_table(rows);
  }
  say(summary(json));
}

void print_routers(const Json& json) {
  if (json.contains("steps")) {
    say(fmt::format("  steps {}, blocks {}", pair_text(json["steps"]), pair_text(json["blocks"])));
    return;
  }
  const Json& logits = json["logits"];
  say(fmt::format("  {} of {} logits differ, by at most {:.6g}, {:.3g} in the mean",
                  logits["differing"].get<int>(), logits["of"].get<int>(),
                  logits["largest"].get<double>(), logits["mean"].get<double>()));
  for (const auto& row : json["decisions"]) {
    say(fmt::format("  at threshold {:<10} {} of {} decisions differ",
                    row["threshold"].get<double>(), row["differing"].get<int>(),
                    row["of"].get<int>()));
  }
  for (const auto& [name, pair] : json["facts"].items()) {
    say_fact(name, pair_text(pair));
  }
}

}  // namespace

void print_description(const Json& json) {
  say(fmt::format("{}: sound", value_text(json["file"])));
  for (const auto& [key, value] : json.items()) {
    if (key == "file" || key == "sound") continue;
    if (key == "reuse") {
      for (const auto& row : value) {
        say(fmt::format("  at threshold {:<10} {} of {} branches of the cache steps reused",
                        row["threshold"].get<double>(), row["reused"].get<int>(),
                        row["cache_step_branches"].get<int>()));
      }
    } else if (key == "metadata") {
      for (const auto& [name, text] : value.items()) {
        say_fact(fmt::format("metadata {}", name), value_text(text));
      }
    } else if (key == "settings") {
      for (const auto& [name, text] : value.items()) say_fact(name, value_text(text));
    } else if (key == "shapes") {
      for (const auto& [name, shape] : value.items()) {
        say(fmt::format("  {} {}", name_text(name), shape.dump()));
      }
    } else {
      say_fact(key, value_text(value));
    }
  }
}

void print_differences(const Json& json) {
  say(fmt::format("{} | {}: {}", value_text(json["files"][0]), value_text(json["files"][1]),
                  json["same"].get<bool>() ? "the same" : "different"));
  if (json.contains("tensors")) {
    print_tensors(json);
    for (const auto& [name, pair] : json["metadata"].items()) {
      say(fmt::format("metadata {}: {}", one_line(name, longest_shown), pair_text(pair)));
    }
  } else {
    print_routers(json);
  }
  if (json.contains("note")) say(fmt::format("note: {}", value_text(json["note"])));
}

}  // namespace l2c::cli
