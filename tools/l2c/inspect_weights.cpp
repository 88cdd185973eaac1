// l2c inspect: models, and other files of tensors.
#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "inspecting.h"
#include "l2c/core/error.h"
#include "l2c/diffusion/scheduler.h"
#include "l2c/io/file.h"
#include "l2c/io/json_text.h"
#include "l2c/io/safetensors.h"
#include "l2c/io/torch_checkpoint.h"
#include "l2c/models/dit.h"
#include "l2c/models/dit_infer.h"
#include "l2c/models/dit_source.h"
#include "report.h"

namespace l2c::cli {

namespace {

using Json = nlohmann::ordered_json;

void check_finite(const std::string& path, const std::string& name, const at::Tensor& tensor) {
  if (!tensor.is_floating_point()) return;
  // LibTorch does not look into numbers of 8 bits.
  const auto values = tensor.element_size() == 1 ? tensor.to(at::kFloat) : tensor;
  if (values.isfinite().all().item<bool>()) return;
  throw InputError(
      fmt::format("{}: tensor {} holds NaN or infinity: the file is damaged or its "
                  "training diverged",
                  path, name));
}

void check_finite(const std::string& path, const io::TensorMap& tensors) {
  for (const auto& [name, tensor] : tensors) check_finite(path, name, tensor);
}

// How many, how large, of what types.
void add_counts(Json& json, const io::TensorMap& tensors) {
  std::int64_t elements = 0;
  std::int64_t bytes = 0;
  std::map<std::string, int> types;
  for (const auto& [name, tensor] : tensors) {
    elements += tensor.numel();
    bytes += static_cast<std::int64_t>(tensor.nbytes());
    ++types[c10::toString(tensor.scalar_type())];
  }
  json["tensors"] = tensors.size();
  json["elements"] = elements;
  json["bytes"] = bytes;
  json["types"] = types;
}

// The configuration has a line of its own.
void add_metadata(Json& json, const io::Metadata& metadata) {
  Json texts = Json::object();
  for (const auto& [name, text] : metadata) {
    if (name != "config") append(texts, name, text);
  }
  if (!texts.empty()) json["metadata"] = std::move(texts);
}

// A whole number, or the text that is there instead of one.
Json step_of(const std::string& text) {
  constexpr std::size_t longest_number = 20;
  if (text.size() > longest_number) return text;
  auto step = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  return step.is_number_integer() ? step : Json(text);
}

Json describe_training_state(const std::string& path) {
  const auto file = io::SafetensorsFile::open(path);
  const auto& metadata = file.metadata();
  const auto tensors = file.tensors();
  if (metadata.at("checksum") != io::content_checksum(tensors, metadata)) {
    throw InputError(fmt::format("{}: the content does not match its checksum", path));
  }
  check_finite(path, tensors);
  Json json{{"kind", "training checkpoint"}, {"format", "safetensors"}};
  add_counts(json, tensors);
  json["step"] = step_of(metadata.at("step"));
  json["settings"] = parse_in_order(metadata.at("settings"), path);
  if (json["settings"].is_object()) return json;
  throw InputError(fmt::format("{}: the settings of the training are not a JSON object", path));
}

// The weights of a training checkpoint; only `ema`, which all else is opened as, for other files.
std::vector<io::Weights> sections_of(const std::string& path) {
  if (!io::looks_like_torch_file(path)) return {io::Weights::ema};
  io::verify_torch_file(path);
  const auto root = io::read_torch_file(path);
  if (root->find("model") == nullptr) return {io::Weights::ema};
  if (root->find("ema") == nullptr) return {io::Weights::model};
  return {io::Weights::ema, io::Weights::model};
}

// Loading checks every name and shape.
std::string checked_fingerprint(const io::Checkpoint& checkpoint, const DiTConfig& config) {
  return DiT::load(config, checkpoint)->info().fingerprint;
}

// A transformer's weights with their config.json beside them.
bool is_diffusers_file(const std::string& path) {
  const std::filesystem::path file(path);
  std::error_code error;
  return std::filesystem::exists(file.parent_path() / "config.json", error) &&
         has_diffusers_names(io::open_checkpoint(file).tensors);
}

// A scheduler that can't be used here is no fault of the folder.
std::string scheduler_text(const std::filesystem::path& path) {
  try {
    return describe(
        scheduler_config_from_json(io::read_text_file(path, io::most_json_bytes), path.string()));
  } catch (const InputError& error) {
    return fmt::format("not usable here: {}", error.what());
  }
}

Json describe_diffusers(const std::string& path) {
  const DiTSource source = open_dit(path);
  for (const auto& [name, shape] : source.weights->shapes()) {
    check_finite(source.weights->description(), name, source.weights->tensor(name));
    source.weights->release(name);
  }
  Json json{{"kind", "model"}, {"format", source.format}, {"stored_as", "Diffusers"}};
  json["weights"] = source.weights->description();
  json["architecture"] = dit_name(source.config);
  json["described_as"] = describe_dit(source.config);
  json["config"] = Json::parse(to_json(source.config));
  json["fingerprint"] = DiT::load(source.config, *source.weights)->info().fingerprint;
  if (!source.class_names.empty()) json["named_classes"] = source.class_names.texts().size();
  if (!source.scheduler.empty()) json["scheduler"] = scheduler_text(source.scheduler);
  return json;
}

void refuse_arch(const std::string& arch, const std::string& path) {
  if (arch.empty()) return;
  throw InputError(
      fmt::format("--arch is for a DiT whose file does not say what it is, and '{}' is another "
                  "file: leave it out",
                  path));
}

// Those of a preset of this width and depth, as infer_dit_config() has them.
bool heads_are_known(const DiTConfig& config) {
  for (const auto& name : dit_preset_names()) {
    const DiTConfig preset = dit_preset(name);
    if (preset.hidden_size == config.hidden_size && preset.depth == config.depth) return true;
  }
  return false;
}

// What can be said of one section. `config`: the model that it is, if that is known.
Json describe_section(const io::Checkpoint& checkpoint, const std::string& arch,
                      std::optional<DiTConfig>& config) {
  Json json{{"kind", "tensors"}, {"format", checkpoint.format}};
  add_counts(json, checkpoint.tensors);
  if (!checkpoint.section.empty()) json["section"] = checkpoint.section;
  add_metadata(json, checkpoint.metadata);
  const auto inferred = infer_dit_config(shapes_of(checkpoint.tensors));
  if (!inferred) {
    refuse_arch(arch, checkpoint.path.string());
    Json shapes = Json::object();
    for (const auto& [name, tensor] : checkpoint.tensors) {
      append(shapes, name, tensor.sizes().vec());
    }
    json["shapes"] = std::move(shapes);
    return json;
  }
  const bool says = !arch.empty() || checkpoint.metadata.contains("config");
  config = says ? resolve_dit_config(arch, checkpoint) : *inferred;
  json["kind"] = "model";
  json["architecture"] = dit_name(*config);
  json["described_as"] = describe_dit(*config);
  json["config_from"] = !arch.empty() ? "--arch"
                        : says        ? "the file's metadata"
                                      : "the shapes of its tensors";
  json["config"] = Json::parse(to_json(*config));
  if (says || heads_are_known(*config)) {
    json["fingerprint"] = checked_fingerprint(checkpoint, *config);
    return json;
  }
  json["note"] =
      "num_heads is a guess, since it leaves no trace in the shapes: give --arch FILE.json where "
      "the model is used; its fingerprint depends on that";
  config.reset();
  return json;
}

// One section after the other: what is compressed in the file, or askew, is in memory, too.
Json describe_checkpoint(const std::string& path, const std::string& arch) {
  Json json;
  std::optional<DiTConfig> config;
  for (const auto weights : sections_of(path)) {
    const auto checkpoint = io::open_checkpoint(path, weights);
    check_finite(path, checkpoint.tensors);
    if (json.is_null()) {
      json = describe_section(checkpoint, arch, config);
    } else if (config) {
      json["model_fingerprint"] = checked_fingerprint(checkpoint, *config);
    }
  }
  return json;
}

}  // namespace

void append(Json& object, const std::string& name, Json value) {
  object.get_ref<Json::object_t&>().emplace_back(name, std::move(value));
}

bool is_training_state(const std::string& path) {
  const std::string end = ".safetensors";
  return path.ends_with(end) && io::is_training_state(io::SafetensorsFile::open(path).metadata());
}

bool is_folder(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

io::Checkpoint open_verified(const std::string& path, io::Weights weights) {
  if (io::looks_like_torch_file(path)) io::verify_torch_file(path);
  return io::open_checkpoint(path, weights);
}

Json describe_weights(const InspectOptions& options) {
  const std::string& path = options.file;
  const bool diffusers = is_folder(path) || is_diffusers_file(path);
  if (!diffusers && !is_training_state(path)) return describe_checkpoint(path, options.arch);
  refuse_arch(options.arch, path);
  return diffusers ? describe_diffusers(path) : describe_training_state(path);
}

}  // namespace l2c::cli
