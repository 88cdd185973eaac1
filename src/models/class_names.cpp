#include "l2c/models/class_names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <set>
#include <tuple>
#include <utility>

#include "l2c/core/error.h"
#include "l2c/core/words.h"

namespace l2c {

namespace {

constexpr std::size_t longest_name = 1000;  // in bytes; more is cut off: Name counts in 16 bits
constexpr std::size_t longest_shown = 80;
constexpr std::size_t listed_at_most = 5;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view spaces = " \t\r\n";
  const auto first = text.find_first_not_of(spaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(spaces) - first + 1);
}

std::string lower_case(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return result;
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0;;) {
    const auto comma = text.find(',', begin);
    const auto part = trimmed(text.substr(begin, comma - begin));
    if (!part.empty()) parts.push_back(part);
    if (comma == std::string_view::npos) return parts;
    begin = comma + 1;
  }
}

// How many letters must be put in, left out, changed or swapped with their neighbour (optimal
// string alignment).
std::size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::size_t> older, old(b.size() + 1), now(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) old[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = old[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      now[j] = std::min({old[j] + 1, now[j - 1] + 1, changed});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        now[j] = std::min(now[j], older[j - 2] + 1);
      }
    }
    older = std::exchange(old, now);
  }
  return old.back();
}

// 0 is nearest; as large as the name itself: not near at all.
std::size_t distance(const std::string& wanted, const std::string& name) {
  constexpr std::size_t shortest_part = 3;
  if (wanted.size() > longest_shown || name.size() > longest_shown) return wanted.size();
  const auto& [part, whole] =
      std::minmax(wanted, name, [](const auto& a, const auto& b) { return a.size() < b.size(); });
  if (part.size() >= shortest_part && whole.find(part) != std::string::npos) return 1;
  const std::size_t found = edits(wanted, name);
  return found <= 1 + wanted.size() / 4 ? found : wanted.size();
}

}  // namespace

ClassNames::ClassNames(const std::map<int, std::string>& texts, std::string where)
    : where_(std::move(where)) {
  for (const auto& [label, written] : texts) {
    const std::string text = one_line(trimmed(written), longest_name);
    if (text.empty()) continue;
    texts_[label] = text;
    const auto add = [&, label = label](std::string_view part, bool whole) {
      names_.push_back({.label = label,
                        .begin = static_cast<std::uint16_t>(part.data() - text.data()),
                        .size = static_cast<std::uint16_t>(part.size()),
                        .whole = whole});
    };
    const auto parts = split(text);
    add(text, true);
    if (parts.size() == 1 && parts.front() == text) continue;
    for (const auto part : parts) add(part, false);
  }
}

std::string_view ClassNames::text(int label) const {
  const auto found = texts_.find(label);
  return found == texts_.end() ? std::string_view{} : found->second;
}

std::string_view ClassNames::text(const Name& name) const {
  return text(name.label).substr(name.begin, name.size);
}

int ClassNames::label(std::string_view given) const {
  const std::string wanted(trimmed(given));
  const std::string shown = one_line(wanted, longest_shown);
  if (texts_.empty()) {
    throw InputError(
        fmt::format("label \"{}\": this model has no names of classes (a Diffusers folder's "
                    "model_index.json has them, as id2label): give the number of the class",
                    shown));
  }
  const std::string lower = lower_case(wanted);
  std::set<int> of_all;
  // From the closest meaning to the widest: the first that fits one class is what was meant.
  for (const auto& [whole, exact] : {std::pair(true, true), std::pair(false, true),
                                     std::pair(true, false), std::pair(false, false)}) {
    std::set<int> found;
    for (const Name& name : names_) {
      const std::string_view part = text(name);
      const bool same = exact ? part == wanted : lower_case(part) == lower;
      if (same && (name.whole || !whole)) found.insert(name.label);
    }
    if (found.size() == 1) return *found.begin();
    of_all.merge(found);
    if (!of_all.empty()) break;
  }
  if (of_all.empty()) {
    throw InputError(
        fmt::format("label \"{}\": no class has that name; {}", shown, nearest(lower)));
  }
  std::vector<std::string> classes;
  for (const int label : of_all) {
    classes.push_back(fmt::format("{} ({})", label, one_line(text(label), longest_shown)));
  }
  throw InputError(
      fmt::format("label \"{}\" is the name of several classes: give the number of "
                  "the one you mean, {}",
                  shown, fmt::join(classes, " or ")));
}

std::string ClassNames::nearest(const std::string& lower) const {
  std::vector<std::tuple<std::size_t, std::size_t, const Name*>> found;
  for (std::size_t i = 0; i < names_.size(); ++i) {
    const std::size_t edits = distance(lower, lower_case(text(names_[i])));
    if (edits < lower.size()) found.emplace_back(edits, i, &names_[i]);
  }
  std::ranges::sort(found);
  std::vector<std::string> shown;
  std::set<int> labels;
  for (const auto& [edits, i, name] : found) {
    if (shown.size() == listed_at_most) break;
    if (!labels.insert(name->label).second) continue;
    shown.push_back(fmt::format("\"{}\" ({})", one_line(text(*name), longest_shown), name->label));
  }
  const auto list = where_.empty() ? std::string() : fmt::format(" (all are in {})", where_);
  if (!shown.empty()) {
    return fmt::format("did you mean {}?{}", fmt::join(shown, ", "), list);
  }
  return fmt::format("class {} for instance is \"{}\"{}", texts_.begin()->first,
                     one_line(texts_.begin()->second, longest_shown), list);
}

std::vector<int> parse_labels(const std::vector<std::string>& words, const ClassNames& names) {
  std::vector<int> labels;
  for (const std::string& word : words) {
    const auto text = trimmed(word);
    int label = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), label);
    if (end == text.data() + text.size() && error == std::errc::result_out_of_range) {
      throw InputError(fmt::format("label {}: give the number of a class", one_line(text, 80)));
    }
    const bool number = end == text.data() + text.size() && error == std::errc() && !text.empty();
    labels.push_back(number ? label : names.label(text));
  }
  return labels;
}

}  // namespace l2c
