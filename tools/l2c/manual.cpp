#include "manual.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "commands.h"
#include "console.h"
#include "described.h"
#include "l2c/core/build_info.h"

namespace l2c::cli {

namespace {

// "--sampler ddim|ddpm", "--steps INT", "FILE".
std::string usage(const DescribedOption& option) {
  std::string text = fmt::format("{}", fmt::join(option.names, ", "));
  if (option.positional || option.value.empty()) return text;
  if (!option.choices.empty()) return fmt::format("{} {}", text, fmt::join(option.choices, "|"));
  return fmt::format("{} {}", text, option.value);
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (std::size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
  return text;
}

std::string cell(const std::string& text) {
  return replaced(replaced(replaced(text, "|", "\\|"), "<", "&lt;"), "\n", " ");
}

std::string table(const std::vector<DescribedOption>& options) {
  std::string text = "| option | default | |\n|-|-|-|\n";
  for (const auto& option : options) {
    text += fmt::format("| `{}` | {} | {} |\n", replaced(usage(option), "|", "\\|"),
                        option.required                ? "required"
                        : option.default_value.empty() ? ""
                                                       : fmt::format("`{}`", option.default_value),
                        cell(option.text));
  }
  return text;
}

// Text that troff takes as it is: no escapes, no request at the start of a line.
std::string roff(const std::string& text) {
  std::string result = replaced(replaced(text, "\\", "\\e"), "-", "\\-");
  if (result.starts_with('.') || result.starts_with('\'')) result.insert(0, "\\&");
  return replaced(replaced(result, "\n.", "\n\\&."), "\n'", "\n\\&'");
}

std::string roff(const DescribedOption& option) {
  std::string text = fmt::format(".TP\n\\fB{}\\fR\n{}", roff(usage(option)), roff(option.text));
  if (option.required) text += " (required)";
  if (!option.default_value.empty()) {
    text += fmt::format(" [default: {}]", roff(option.default_value));
  }
  return text + "\n";
}

std::string example_as_roff(const std::string& example) {
  if (example.empty()) return "";
  return fmt::format(".PP\n.nf\n{}\n.fi\n", roff(example));
}

}  // namespace

std::string manual_markdown(const CLI::App& app) {
  std::string text = fmt::format(
      "# The l2c program\n\n<!-- Made by `l2c manual --format markdown` (make manual): change the "
      "subcommands in tools/l2c instead. -->\n\n{}\n\n    l2c SUBCOMMAND "
      "[OPTIONS]\n\n{}\n\nOptions of the program, before the "
      "subcommand or after it (there, `--help` is about the subcommand alone):\n\n{}\n",
      app.get_description(), app.get_footer(), table(described_options(app)));
  const auto commands = described_commands(app);
  for (const auto& command : commands) {
    text += fmt::format("- [`l2c {}`](#l2c-{}): {}\n", command.name, command.name, command.text);
  }
  for (const auto& command : commands) {
    text +=
        fmt::format("\n## l2c {}\n\n{}\n\n{}", command.name, command.text, table(command.options));
    if (!command.example.empty()) text += fmt::format("\n```\n{}\n```\n", command.example);
  }
  return text;
}

std::string manual_page(const CLI::App& app) {
  std::string text = fmt::format(
      ".TH L2C 1 \"\" \"l2c {}\" \"User Commands\"\n.SH NAME\nl2c \\- sample diffusion "
      "transformers, reusing layer outputs between steps\n.SH SYNOPSIS\n.B l2c\nSUBCOMMAND "
      "[OPTIONS]\n.SH DESCRIPTION\n{}\n",
      l2c::version(), roff(app.get_description()));
  text += ".SH OPTIONS\n";
  for (const auto& option : described_options(app)) text += roff(option);
  for (const auto& command : described_commands(app)) {
    text += fmt::format(".SH \"l2c {}\"\n{}\n", roff(command.name), roff(command.text));
    for (const auto& option : command.options) text += roff(option);
    text += example_as_roff(command.example);
  }
  return text + fmt::format(".SH EXIT STATUS\n{}\n", roff(app.get_footer()));
}

void add_manual(CLI::App& app) {
  auto* command = app.add_subcommand(
      "manual",
      "Print this manual whole: for man, as Markdown, or as a shell's completion script.");
  auto format = std::make_shared<std::string>("man");
  command->add_option("--format", *format, "man, markdown, bash, zsh or fish")
      ->check(CLI::IsMember({"man", "markdown", "bash", "zsh", "fish"}))
      ->capture_default_str();
  command->footer(
      "Examples:\n"
      "  l2c manual | man -l -\n"
      "  source <(l2c manual --format bash)");
  command->callback([&app, format] {
    const std::string text = *format == "man"        ? manual_page(app)
                             : *format == "markdown" ? manual_markdown(app)
                             : *format == "bash"     ? bash_completion(app)
                             : *format == "zsh"      ? zsh_completion(app)
                                                     : fish_completion(app);
    stdout_stream() << text;
  });
}

}  // namespace l2c::cli
