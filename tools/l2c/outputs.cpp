#include "outputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>

#include "l2c/core/error.h"
#include "l2c/io/file.h"

namespace l2c::cli {

namespace {

namespace fs = std::filesystem;

// One spelling for one place, whether there is a file or not.
std::string place_of(const std::string& path) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  const fs::path plain = fs::weakly_canonical(absolute, error);
  return (error ? absolute.lexically_normal() : plain).string();
}

bool lies_in(const std::string& file, const std::string& folder) {
  const fs::path inner(file), outer(folder);
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

bool replaces(const std::string& output, const std::string& input) {
  std::error_code error;
  if (!fs::exists(output, error)) return false;
  if (fs::equivalent(output, input, error)) return true;
  return fs::is_directory(input, error) && fs::path(output).extension() != ".png" &&
         lies_in(place_of(output), place_of(input));
}

}  // namespace

void check_outputs(const std::vector<std::string>& outputs,
                   const std::vector<std::string>& inputs) {
  std::map<std::string, std::string> seen;
  for (const auto& path : outputs) {
    if (path.empty()) continue;
    const auto [first, is_new] = seen.emplace(place_of(path), path);
    if (!is_new) {
      throw InputError(
          first->second == path
              ? fmt::format("two outputs have the same path {}: give each its own", path)
              : fmt::format("the outputs {} and {} are the same path: give each its own",
                            first->second, path));
    }
    io::check_writable(path);
    for (const auto& input : inputs) {
      if (input.empty() || !replaces(path, input)) continue;
      throw InputError(
          fmt::format("'{}' would be written over, and it is read: name another file", path));
    }
  }
}

}  // namespace l2c::cli
