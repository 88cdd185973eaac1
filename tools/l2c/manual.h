// The program's manual, made of what its subcommands say of themselves.
#pragma once

#include <CLI/App.hpp>
#include <string>

namespace l2c::cli {

// All of them describe `app`, the whole program.
std::string manual_markdown(const CLI::App& app);  // docs/cli.md
std::string manual_page(const CLI::App& app);      // l2c(1), for man
// Completion scripts: subcommands, options, and the values of options that take one of a few;
// file names for all else.
std::string bash_completion(const CLI::App& app);
std::string zsh_completion(const CLI::App& app);
std::string fish_completion(const CLI::App& app);

}  // namespace l2c::cli
