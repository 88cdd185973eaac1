#include "l2c/io/sharded.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <system_error>

#include "l2c/core/error.h"
#include "l2c/core/words.h"
#include "l2c/io/file.h"
#include "l2c/io/json_text.h"
#include "l2c/io/safetensors.h"

namespace l2c::io {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::size_t longest_shown = 200;

// The names of tensors by the file that they lie in.
using ShardMap = std::map<std::string, std::set<std::string>>;

Json parse_index(const fs::path& index) {
  const std::string text = read_text_file(index, most_json_bytes);
  check_json_text(text, fmt::format("'{}'", index.string()));
  try {
    return Json::parse(text);
  } catch (const Json::exception& error) {
    throw InputError(fmt::format("'{}' is no index of shards: not JSON: {}", index.string(),
                                 one_line(error.what(), longest_shown)));
  }
}

// Letters of a file's name only: no folder, no way up, nothing that a terminal would act on.
bool is_file_name(const std::string& name) {
  const auto is_bad = [](char c) {
    return c == '/' || c == '\\' || (c >= 0 && c < ' ') || c == 127;
  };
  constexpr std::size_t longest = 255;  // of most file systems
  return !name.empty() && name.size() <= longest && name != "." && name != ".." &&
         std::ranges::none_of(name, is_bad);
}

ShardMap read_map(const fs::path& index) {
  const Json json = parse_index(index);
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object() ||
      json["weight_map"].empty()) {
    throw InputError(
        fmt::format("'{}' is no index of shards: expected an object with a \"weight_map\" from "
                    "names of tensors to names of files; download it again",
                    index.string()));
  }
  ShardMap shards;
  for (const auto& [tensor, file] : json["weight_map"].items()) {
    if (!file.is_string() || !is_file_name(file.get_ref<const std::string&>())) {
      throw InputError(fmt::format(
          "'{}' says that tensor {} lies in {}: expected the name of a file in the same folder; "
          "other paths are not followed",
          index.string(), one_line(tensor, longest_shown),
          file.is_string()
              ? fmt::format("'{}'", one_line(file.get_ref<const std::string&>(), longest_shown))
              : std::string(file.type_name())));
    }
    shards[file.get<std::string>()].insert(tensor);
  }
  return shards;
}

void add_shard(Checkpoint& checkpoint, const std::string& name,
               const std::set<std::string>& tensors) {
  const fs::path path = checkpoint.path.parent_path() / name;
  std::error_code error;
  if (!fs::exists(path, error)) {
    throw InputError(
        fmt::format("'{}' is missing: '{}' names it for {} tensors ({}{}); download it, too",
                    path.string(), checkpoint.path.string(), tensors.size(),
                    one_line(*tensors.begin(), longest_shown), tensors.size() > 1 ? ", ..." : ""));
  }
  auto mapped = MappedFile::open(path);
  const auto file = SafetensorsFile::open(mapped);
  for (const auto& tensor : tensors) {
    if (!file.contains(tensor)) {
      throw InputError(fmt::format(
          "'{}' has no tensor {}, which '{}' says lies there: index and shards are not of the same "
          "model; download all of them again",
          path.string(), one_line(tensor, longest_shown), checkpoint.path.string()));
    }
    checkpoint.tensors.emplace(tensor, file.tensor(tensor));
  }
  for (const auto& tensor : file.names()) {
    if (tensors.contains(tensor)) continue;
    throw InputError(
        fmt::format("'{}' holds the tensor {}, which '{}' does not say lies there: index and "
                    "shards are not of the same model; download all of them again",
                    path.string(), one_line(tensor, longest_shown), checkpoint.path.string()));
  }
  if (checkpoint.metadata.empty()) checkpoint.metadata = file.metadata();
  checkpoint.shards.push_back(std::move(mapped));
}

}  // namespace

bool is_shard_index(const fs::path& path) {
  return path.filename().string().ends_with(".safetensors.index.json");
}

Checkpoint open_sharded(const fs::path& index) {
  const ShardMap shards = read_map(index);
  Checkpoint checkpoint{.path = index,
                        .format = "safetensors",
                        .section = "",
                        .tensors = {},
                        .metadata = {},
                        .file = nullptr,
                        .shards = {}};
  for (const auto& [name, tensors] : shards) add_shard(checkpoint, name, tensors);
  return checkpoint;
}

}  // namespace l2c::io
