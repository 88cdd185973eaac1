#include "spec_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <system_error>

#include "l2c/core/error.h"

namespace l2c {

namespace {

// The whole text as a number; none: something else.
template <typename Number>
std::optional<Number> parsed(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return number;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (auto at = text.find(separator); at != std::string_view::npos; at = text.find(separator)) {
    parts.emplace_back(text.substr(0, at));
    text.remove_prefix(at + 1);
  }
  parts.emplace_back(text);
  return parts;
}

int whole(const SpecText& spec, std::string_view text, int least, int most) {
  const auto number = parsed<int>(text);
  if (!number || *number < least || *number > most) {
    spec.refuse(fmt::format("\"{}\" is no whole number from {} to {}", text, least, most));
  }
  return *number;
}

double between(const SpecText& spec, std::string_view text, double least, double most) {
  const auto number = parsed<double>(text);
  if (!number || !std::isfinite(*number) || *number < least || *number > most) {
    const auto range = most == std::numeric_limits<double>::max()
                           ? fmt::format("of at least {}", least)
                           : fmt::format("from {} to {}", least, most);
    spec.refuse(fmt::format("\"{}\" is no number {}", text, range));
  }
  return *number;
}

}  // namespace

SpecText::SpecText(std::string what, std::string text)
    : what_(std::move(what)), text_(std::move(text)) {
  const auto colon = text_.find(':');
  kind_ = text_.substr(0, colon);
  if (colon == std::string::npos) return;
  has_value_ = true;
  rest_ = text_.substr(colon + 1);
  const auto parts = split(rest_, ',');
  value_ = parts.front();
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const auto equals = parts[i].find('=');
    if (equals == std::string::npos) {
      refuse(fmt::format("the option \"{}\" has no \"=\"", parts[i]));
    }
    auto key = parts[i].substr(0, equals);
    if (option(key) != nullptr) refuse(fmt::format("the option \"{}\" is given twice", key));
    options_.emplace_back(std::move(key), parts[i].substr(equals + 1));
  }
  known_.clear();
}

int SpecText::whole_value(int least, int most) const { return whole(*this, value_, least, most); }

double SpecText::value_between(double least, double most) const {
  return between(*this, value_, least, most);
}

int SpecText::whole_option(std::string_view key, int otherwise, int least, int most) {
  const auto* const given = option(key);
  return given == nullptr ? otherwise : whole(*this, *given, least, most);
}

std::vector<double> SpecText::numbers_option(std::string_view key, std::vector<double> otherwise) {
  const auto* const given = option(key);
  if (given == nullptr) return otherwise;
  std::vector<double> numbers;
  for (const auto& part : split(*given, '/')) {
    const auto number = parsed<double>(part);
    if (!number || !std::isfinite(*number)) {
      refuse(fmt::format("\"{}\" of the option \"{}\" is no number", part, key));
    }
    numbers.push_back(*number);
  }
  return numbers;
}

void SpecText::finish() const {
  for (const auto& [key, value] : options_) {
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    refuse(known_.empty() ? fmt::format("{} has no options, so no \"{}\"", kind_, key)
                          : fmt::format("{} has no option \"{}\", but {}", kind_, key,
                                        fmt::join(known_, ", ")));
  }
}

void SpecText::refuse(std::string_view why) const {
  throw InputError(fmt::format("{} \"{}\": {}", what_, text_, why));
}

const std::string* SpecText::option(std::string_view key) {
  known_.emplace_back(key);
  for (const auto& [name, value] : options_) {
    if (name == key) return &value;
  }
  return nullptr;
}

}  // namespace l2c
