#include "described.h"

#include <sstream>

namespace l2c::cli {

namespace {

// "TEXT:{ddim,ddpm}" -> "ddim", "ddpm"; of another type nothing.
std::vector<std::string> choices_of(const std::string& type) {
  const auto open = type.find('{');
  const auto close = type.find('}', open);
  if (open == std::string::npos || close == std::string::npos) return {};
  std::vector<std::string> choices;
  std::istringstream inside(type.substr(open + 1, close - open - 1));
  for (std::string choice; std::getline(inside, choice, ',');) choices.push_back(choice);
  return choices;
}

// Of lists: "[1]".
std::string without_brackets(const std::string& text) {
  return text.starts_with('[') && text.ends_with(']') ? text.substr(1, text.size() - 2) : text;
}

DescribedOption described(const CLI::Option& option) {
  DescribedOption result;
  for (const auto& name : option.get_snames()) result.names.push_back("-" + name);
  for (const auto& name : option.get_lnames()) result.names.push_back("--" + name);
  result.positional = result.names.empty();
  if (result.positional) result.names.push_back(option.get_name());
  const std::string type = option.get_items_expected_max() > 0 ? option.get_type_name() : "";
  result.value = type.substr(0, type.find_first_of(":{ "));
  result.choices = choices_of(type);
  result.default_value = without_brackets(option.get_default_str());
  result.text = option.get_description();
  result.required = option.get_required();
  return result;
}

}  // namespace

std::vector<DescribedOption> described_options(const CLI::App& command) {
  std::vector<DescribedOption> result;
  for (const CLI::Option* option : command.get_options()) {
    if (!option->get_group().empty()) result.push_back(described(*option));
  }
  return result;
}

std::vector<DescribedCommand> described_commands(const CLI::App& app) {
  std::vector<DescribedCommand> result;
  const auto shown = [](const CLI::App* command) { return !command->get_group().empty(); };
  for (const CLI::App* command : app.get_subcommands(shown)) {
    result.push_back({.name = command->get_name(),
                      .text = command->get_description(),
                      .example = command->get_footer(),
                      .options = described_options(*command)});
  }
  return result;
}

}  // namespace l2c::cli
