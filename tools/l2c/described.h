// The command line as plain data, for the manual and for completion.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <vector>

namespace l2c::cli {

struct DescribedOption {
  std::vector<std::string> names;  // "-h", "--help"; of a positional argument its name
  std::string value;               // "INT", "FILE"; empty: takes none
  std::vector<std::string> choices;
  std::string default_value;  // empty: none
  std::string text;
  bool required = false;
  bool positional = false;
};

struct DescribedCommand {
  std::string name;
  std::string text;
  std::string example;  // what is printed after the options
  std::vector<DescribedOption> options;
};

// In the order in which --help shows them; hidden ones are left out.
std::vector<DescribedOption> described_options(const CLI::App& command);
std::vector<DescribedCommand> described_commands(const CLI::App& app);

}  // namespace l2c::cli
