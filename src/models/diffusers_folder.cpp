#include <fmt/format.h>

#include <array>
#include <charconv>
#include <string>
#include <system_error>

#include "diffusers.h"
#include "json_fields.h"
#include "l2c/core/error.h"
#include "l2c/core/words.h"
#include "l2c/io/file.h"
#include "l2c/io/json_text.h"

namespace l2c {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::size_t longest_shown = 80;
constexpr const char* weights_stem = "diffusion_pytorch_model";
constexpr std::array weights_ends{".safetensors", ".safetensors.index.json", ".bin"};

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

int parse_label(const std::string& key, std::string_view where) {
  int label = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), label);
  if (error == std::errc() && end == key.data() + key.size() && label >= 0) return label;
  throw InputError(fmt::format("{}: id2label has the key \"{}\"; expected the number of a class",
                               where, one_line(key, longest_shown)));
}

ClassNames read_names(const Json& object, const std::string& where) {
  if (!object.contains("id2label") || object["id2label"].is_null()) return {};
  const Json& names = object["id2label"];
  if (!names.is_object()) {
    throw InputError(
        fmt::format("{}: id2label must be an object from numbers of classes to names", where));
  }
  std::map<int, std::string> texts;
  for (const auto& [key, name] : names.items()) {
    const int label = parse_label(key, where);
    if (!name.is_string()) {
      throw InputError(
          fmt::format("{}: id2label names class {} by something that is no text", where, label));
    }
    texts[label] = name.get<std::string>();
  }
  return ClassNames(texts, where);
}

// model_index.json, checked to be that of a DiT.
Json read_index(const fs::path& path) {
  const std::string where = path.string();
  Json object = parse_json_object(io::read_text_file(path, io::most_json_bytes), where,
                                  R"({"_class_name": "DiTPipeline", ...})");
  const JsonFields fields(object, where);
  std::string name;
  fields.read("_class_name", name);
  if (name != "DiTPipeline") {
    throw InputError(fmt::format(
        "{}: _class_name is \"{}\", expected \"DiTPipeline\": other pipelines can't be loaded",
        where, one_line(name, longest_shown)));
  }
  return object;
}

}  // namespace

fs::path find_diffusers_weights(const fs::path& folder) {
  for (const char* end : weights_ends) {
    const fs::path path = folder / fmt::format("{}{}", weights_stem, end);
    if (is_there(path)) return path;
  }
  throw InputError(fmt::format(
      "'{}' holds no weights: expected {}{}, {} or {} in it; download the "
      "folder again",
      folder.string(), weights_stem, weights_ends[0], weights_ends[1], weights_ends[2]));
}

DiffusersFiles find_diffusers(const fs::path& folder) {
  DiffusersFiles files;
  fs::path transformer = folder;
  const fs::path index = folder / "model_index.json";
  if (is_there(index)) {
    files.class_names = read_names(read_index(index), index.string());
    transformer = folder / "transformer";
    const fs::path scheduler = folder / "scheduler" / "scheduler_config.json";
    if (is_there(scheduler)) files.scheduler = scheduler;
    if (is_there(folder / "vae" / "config.json")) files.vae = folder / "vae";
  }
  files.config = transformer / "config.json";
  if (!is_there(files.config)) {
    throw InputError(fmt::format(
        "'{}' is a folder without {}: give a checkpoint's file, the folder of a Diffusers DiT "
        "pipeline (with model_index.json and transformer/config.json), or its transformer's folder",
        folder.string(),
        transformer == folder ? "model_index.json or config.json" : "transformer/config.json"));
  }
  // Before the weights are looked for: another model's folder should be called that.
  (void)diffusers_config(io::read_text_file(files.config, io::most_json_bytes),
                         files.config.string());
  files.weights = find_diffusers_weights(transformer);
  return files;
}

}  // namespace l2c
