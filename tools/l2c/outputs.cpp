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

// By its name: a Diffusers folder may hold what earlier runs made, too.
bool is_part_of_a_model(const fs::path& file) {
  const std::string name = file.filename().string();
  return name == "model_index.json" || name == "config.json" || name == "scheduler_config.json" ||
         name.starts_with("diffusion_pytorch_model");
}

// `output` is there.
bool replaces(const std::string& output, const std::string& input) {
  std::error_code error;
  if (fs::equivalent(output, input, error)) return true;
  return is_part_of_a_model(output) && fs::is_directory(input, error) &&
         lies_in(place_of(output), place_of(input));
}

}  // namespace

void add_paths_in(const std::string& text, std::vector<std::string>& paths) {
  const auto add_from = [&](std::size_t begin) {
    for (std::size_t end = text.find_first_of(":@+,", begin); end != text.npos;
         end = text.find_first_of(":@+,", end + 1)) {
      paths.push_back(text.substr(begin, end - begin));
    }
    paths.push_back(text.substr(begin));
  };
  add_from(0);
  for (std::size_t at = text.find(':'); at != text.npos; at = text.find(':', at + 1)) {
    add_from(at + 1);
  }
}

std::vector<std::string> inputs_of(const PipelineOptions& pipeline, const CacheOptions& cache) {
  std::vector<std::string> inputs{pipeline.model, pipeline.load.architecture, pipeline.load.vae,
                                  cache.router};
  for (const auto& text : {cache.policy, cache.recall}) add_paths_in(text, inputs);
  return inputs;
}

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
    std::error_code error;
    if (!fs::exists(path, error)) continue;
    for (const auto& input : inputs) {
      if (input.empty() || !replaces(path, input)) continue;
      throw InputError(
          fmt::format("'{}' would be written over, and it is read: name another file", path));
    }
  }
}

}  // namespace l2c::cli
