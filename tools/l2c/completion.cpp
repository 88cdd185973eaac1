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

// Of the program, with a value: these may come before the subcommand and after it.
std::vector<DescribedOption> options_anywhere(const CLI::App& app) {
  std::vector<DescribedOption> result;
  for (const auto& option : described_options(app)) {
    if (!option.value.empty()) result.push_back(option);
  }
  return result;
}

// Of the subcommands, with what each takes of the program's.
std::vector<DescribedCommand> completed_commands(const CLI::App& app) {
  auto commands = described_commands(app);
  for (auto& command : commands) {
    for (const auto& option : options_anywhere(app)) command.options.push_back(option);
  }
  return commands;
}

// "--a|--b": of a case in a shell.
std::string words_before_value(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto& option : options_anywhere(app)) {
    for (const auto& name : option.names) names.push_back(name);
  }
  return fmt::format("{}", fmt::join(names, "|"));
}

// The long ones; the short one where there is no other.
std::vector<std::string> completed_names(const DescribedOption& option) {
  std::vector<std::string> names;
  for (const auto& name : option.names) {
    if (name.starts_with("--")) names.push_back(name);
  }
  return names.empty() ? option.names : names;
}

std::string option_names(const std::vector<DescribedOption>& options) {
  std::vector<std::string> names;
  for (const auto& option : options) {
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

constexpr const char* next_zsh_line = " \\\n        ";

std::string zsh_option(const DescribedOption& option) {
  std::string text;
  for (const auto& name : completed_names(option)) {
    text +=
        fmt::format("{}'{}[{}]{}'", next_zsh_line, name, zsh_text(option.text), zsh_value(option));
  }
  return text;
}

// Of a subcommand.
std::string zsh_arguments(const std::vector<DescribedOption>& options) {
  std::string text;
  int position = 0;
  for (const auto& option : options) {
    text += option.positional
                ? fmt::format("{}'{}:{}:_files'", next_zsh_line, ++position, option.names.front())
                : zsh_option(option);
  }
  return text;
}

std::string fish_option(const std::string& condition, const DescribedOption& option) {
  std::string text = fmt::format("complete -c l2c -n '{}'", condition);
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

// What may follow an option with choices; `command` is empty before the subcommand.
std::string bash_values(const std::string& command, const std::vector<DescribedOption>& options) {
  std::string values;
  for (const auto& option : options) {
    if (option.choices.empty()) continue;
    for (const auto& name : completed_names(option)) {
      values += fmt::format("    \"{} {}\") words=\"{}\" ;;\n", command, name,
                            fmt::join(option.choices, " "));
    }
  }
  return values;
}

}  // namespace

std::string bash_completion(const CLI::App& app) {
  const auto commands = completed_commands(app);
  std::string options, values = bash_values("", described_options(app));
  for (const auto& command : commands) {
    options +=
        fmt::format("    {}) words=\"{}\" ;;\n", command.name, option_names(command.options));
    values += bash_values(command.name, command.options);
  }
  return fmt::format(
      R"(# bash completion of l2c: source <(l2c manual --format bash)
_l2c() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" command="" words="" i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case "${{COMP_WORDS[i]}}" in
    {3})
      [[ ${{COMP_WORDS[i + 1]}} == "=" ]] && ((++i))
      ((++i))
      ;;
    -*) ;;
    *)
      command="${{COMP_WORDS[i]}}"
      break
      ;;
    esac
  done
  case "$command ${{COMP_WORDS[COMP_CWORD - 1]}}" in
{1}  esac
  if [[ -z $words && -z $command ]]; then
    words="{0} {4}"
  elif [[ -z $words && $current == -* ]]; then
    case "$command" in
{2}    esac
  fi
  if [[ -n $words ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  else
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  fi
}}
complete -F _l2c l2c
)",
      names_of(commands), values, options, words_before_value(app),
      option_names(described_options(app)));
}

std::string zsh_completion(const CLI::App& app) {
  const auto commands = completed_commands(app);
  std::string described, options, cases;
  for (const auto& option : described_options(app)) options += zsh_option(option);
  for (const auto& command : commands) {
    described += fmt::format("    '{}:{}'\n", command.name, zsh_text(command.text));
    cases += fmt::format("    {})\n      _arguments{}\n      ;;\n", command.name,
                         zsh_arguments(command.options));
  }
  return fmt::format(
      R"(#compdef l2c
# zsh completion of l2c: l2c manual --format zsh > "${{fpath[1]}}/_l2c"
_l2c() {{
  local curcontext="$curcontext" state line
  local -A opt_args
  local -a commands
  commands=(
{0}  )
  _arguments -C{1} \
        '1:subcommand:->subcommand' \
        '*::argument:->arguments'
  if [[ "$state" == subcommand ]]; then
    _describe 'subcommand' commands
    return
  fi
  case "$line[1]" in
{2}  esac
}}
_l2c "$@"
)",
      described, options, cases);
}

std::string fish_completion(const CLI::App& app) {
  const auto commands = described_commands(app);
  const auto none_yet = fmt::format("not __fish_seen_subcommand_from {}", names_of(commands));
  std::string text =
      "# fish completion of l2c: l2c manual --format fish > ~/.config/fish/completions/l2c.fish\n";
  for (const auto& option : described_options(app)) {
    text += fish_option(option.value.empty() ? none_yet : "true", option);
  }
  for (const auto& command : commands) {
    text += fmt::format("complete -c l2c -n '{}' -f -a {} -d '{}'\n", none_yet, command.name,
                        single_quoted(command.text));
  }
  for (const auto& command : commands) {
    const auto seen = fmt::format("__fish_seen_subcommand_from {}", command.name);
    for (const auto& option : command.options) {
      if (!option.positional) text += fish_option(seen, option);
    }
  }
  return text;
}

}  // namespace l2c::cli
