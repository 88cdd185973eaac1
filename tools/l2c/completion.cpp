// Completion scripts of three shells.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "described.h"
#include "manual.h"

namespace l2c::cli {

namespace {

std::string names_of(const std::vector<DescribedCommand>& commands) {
  std::vector<std::string> names;
  for (const auto& command : commands) names.push_back(command.name);
  return fmt::format("{}", fmt::join(names, " "));
}

// The long ones; the short one where there is no other.
std::vector<std::string> completed_names(const DescribedOption& option) {
  std::vector<std::string> names;
  for (const auto& name : option.names) {
    if (name.starts_with("--")) names.push_back(name);
  }
  return names.empty() ? option.names : names;
}

std::string option_names(const DescribedCommand& command) {
  std::vector<std::string> names;
  for (const auto& option : command.options) {
    if (option.positional) continue;
    for (const auto& name : completed_names(option)) names.push_back(name);
  }
  return fmt::format("{}", fmt::join(names, " "));
}

// Within single quotes.
std::string single_quoted(const std::string& text) {
  std::string result;
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result;
}

// Of a zsh specification, where brackets and colons mean something.
std::string zsh_text(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') result += '\\';
    result += c;
  }
  return single_quoted(result);
}

std::string zsh_value(const DescribedOption& option) {
  if (!option.choices.empty()) {
    return fmt::format(":{}:({})", option.value, fmt::join(option.choices, " "));
  }
  return option.value.empty() ? "" : fmt::format(":{}:_files", option.value);
}

std::string zsh_option(const DescribedOption& option) {
  constexpr const char* next_line = " \\\n        ";
  if (option.positional) return fmt::format("{}'*:{}:_files'", next_line, option.names.front());
  std::string text;
  for (const auto& name : completed_names(option)) {
    text += fmt::format("{}'{}[{}]{}'", next_line, name, zsh_text(option.text), zsh_value(option));
  }
  return text;
}

std::string fish_option(const DescribedCommand& command, const DescribedOption& option) {
  std::string text =
      fmt::format("complete -c l2c -n '__fish_seen_subcommand_from {}'", command.name);
  for (const auto& name : option.names) {
    const bool is_long = name.starts_with("--");
    text += fmt::format(" -{} {}", is_long ? 'l' : 's', name.substr(is_long ? 2 : 1));
  }
  if (!option.value.empty()) text += " -r";
  if (!option.choices.empty()) {
    text += fmt::format(" -f -a '{}'", fmt::join(option.choices, " "));
  }
  return text + fmt::format(" -d '{}'\n", single_quoted(option.text));
}

}  // namespace

std::string bash_completion(const CLI::App& app) {
  const auto commands = described_commands(app);
  std::string options, values;
  for (const auto& command : commands) {
    options += fmt::format("    {}) words=\"{}\" ;;\n", command.name, option_names(command));
    for (const auto& option : command.options) {
      if (option.choices.empty()) continue;
      for (const auto& name : completed_names(option)) {
        values += fmt::format("    \"{} {}\") words=\"{}\" ;;\n", command.name, name,
                              fmt::join(option.choices, " "));
      }
    }
  }
  return fmt::format(
      R"(# bash completion of l2c: source <(l2c manual --format bash)
_l2c() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" command="${{COMP_WORDS[1]}}" words=""
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W "{0} --help --version" -- "$current"))
    return
  fi
  case "$command ${{COMP_WORDS[COMP_CWORD - 1]}}" in
{1}  esac
  if [[ -z $words && $current == -* ]]; then
    case "$command" in
{2}    esac
  fi
  if [[ -n $words ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  else
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}}
complete -F _l2c l2c
)",
      names_of(commands), values, options);
}

std::string zsh_completion(const CLI::App& app) {
  const auto commands = described_commands(app);
  std::string described, cases;
  for (const auto& command : commands) {
    described += fmt::format("    '{}:{}'\n", command.name, zsh_text(command.text));
    cases += fmt::format("    {})\n      _arguments", command.name);
    for (const auto& option : command.options) cases += zsh_option(option);
    cases += "\n      ;;\n";
  }
  return fmt::format(
      R"(#compdef l2c
# zsh completion of l2c: l2c manual --format zsh > "${{fpath[1]}}/_l2c"
_l2c() {{
  local -a commands
  commands=(
{0}  )
  if (( CURRENT == 2 )); then
    _describe 'subcommand' commands
    return
  fi
  local command="$words[2]"
  shift words
  (( CURRENT-- ))
  case "$command" in
{1}  esac
}}
_l2c "$@"
)",
      described, cases);
}

std::string fish_completion(const CLI::App& app) {
  std::string text =
      "# fish completion of l2c: l2c manual --format fish > ~/.config/fish/completions/l2c.fish\n";
  for (const auto& command : described_commands(app)) {
    text += fmt::format("complete -c l2c -n __fish_use_subcommand -f -a {} -d '{}'\n", command.name,
                        single_quoted(command.text));
  }
  for (const auto& command : described_commands(app)) {
    for (const auto& option : command.options) {
      if (!option.positional) text += fish_option(command, option);
    }
  }
  return text;
}

}  // namespace l2c::cli
