#include "option_checks.h"

#include <fmt/format.h>

#include <CLI/TypeTools.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

#include "l2c/core/error.h"

namespace l2c::cli {

namespace {

constexpr std::string_view empty_value =
    "the value is empty (of a variable that is not set?): give one, or leave it out";

// Leaves plain digits, which CLI11 cannot take for octal. Returns what is wrong.
template <typename Whole>
std::string read_whole(std::string& text) {
  if (text.empty()) return std::string(empty_value);
  // "1, 2" as one word, and "+5".
  const auto first = text.find_first_not_of(" \t");
  text.erase(0, std::min(first, text.size()));
  if (text.starts_with("+") && text.find_first_of("+-", 1) == text.npos) text.erase(0, 1);
  Whole value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (std::is_unsigned_v<Whole> &&
      (error == std::errc::result_out_of_range || text.front() == '-')) {
    return fmt::format("\"{}\" is out of range: give a whole number from 0 to {}", text,
                       std::numeric_limits<Whole>::max());
  }
  if (error == std::errc::result_out_of_range) {
    return fmt::format("\"{}\" is out of range: give a number of fewer digits", text);
  }
  if (error != std::errc() || rest != end) {
    return fmt::format("\"{}\" is no whole number: give digits alone, as in 20", text);
  }
  text = fmt::format("{}", value);
  return "";
}

std::string check_real(const std::string& text) {
  if (text.empty()) return std::string(empty_value);
  double value = 0;
  if (CLI::detail::lexical_cast(text, value)) return "";
  return fmt::format("\"{}\" is no number: give one such as 0.5", text);
}

std::string check_switch(const std::string& text) {
  bool value = false;
  if (CLI::detail::lexical_cast(text, value)) return "";
  return fmt::format("\"{}\" is neither true nor false: give the option alone", text);
}

std::string check_text(const std::string& text) {
  return text.empty() ? std::string(empty_value) : "";
}

// Before other checks, which would read octal numbers.
void add_check(CLI::Option& option) {
  const std::string type = option.get_type_name();
  const std::string kind = type.substr(0, type.find_first_of(":{ "));
  if (option.get_items_expected_max() == 0) {
    option.check(check_switch);
  } else if (kind == "INT") {
    option.transform(CLI::Validator(read_whole<std::int64_t>, ""));
  } else if (kind == "UINT") {
    option.transform(CLI::Validator(read_whole<std::uint64_t>, ""));
  } else if (kind == "FLOAT") {
    option.check(check_real);
  } else if (kind == "TEXT") {
    option.check(check_text);
  }
}

// Of a unit, in lower case; 0: there is no such unit.
double unit_bytes(std::string_view unit) {
  if (unit.empty() || unit == "b") return 1;
  constexpr std::string_view prefixes = "kmgtpe";
  const auto power = prefixes.find(unit.front());
  if (power == std::string_view::npos) return 0;
  const std::string_view rest = unit.substr(1);
  const auto exponent = static_cast<double>(power + 1);
  if (rest.empty() || rest == "b") return std::pow(1000.0, exponent);
  return rest == "i" || rest == "ib" ? std::pow(1024.0, exponent) : 0;
}

std::string read_size(std::string& text) {
  constexpr double most = 9e18;  // less than an std::int64_t holds
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  std::string unit = CLI::detail::to_lower(std::string(rest, end));
  const double bytes = number * unit_bytes(CLI::detail::trim(unit));
  const bool understood = error == std::errc() && unit_bytes(unit) > 0;
  if (!understood || std::signbit(number) || !(bytes <= most)) {
    return fmt::format(
        "\"{}\" is no size from 0 to 9 EB: give bytes, or a unit as in 500MB, 1.5GB, 2GiB", text);
  }
  text = fmt::format("{}", static_cast<std::int64_t>(bytes));
  return "";
}

}  // namespace

void add_option_checks(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) add_check(*option);
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) {
    add_option_checks(*command);
  }
}

void check_words(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--") return;
    if (!word.starts_with("--") || word.find('=') != word.size() - 1) continue;
    throw InputError(fmt::format("{}: {}", word.substr(0, word.size() - 1), empty_value));
  }
}

CLI::Validator size_in_bytes() { return {read_size, ""}; }

}  // namespace l2c::cli
