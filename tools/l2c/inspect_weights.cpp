// l2c inspect: models, and other files of tensors.
#include <fmt/format.h>

#include <filesystem>
#include <map>
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
  io::check_json_text(metadata.at("settings"), path);
  const auto step = Json::parse(metadata.at("step"), nullptr, /*allow_exceptions=*/false);
  json["step"] = step.is_number_integer() ? step : Json(metadata.at("step"));
  json["settings"] = Json::parse(metadata.at("settings"), nullptr, /*allow_exceptions=*/false);
  if (json["settings"].is_object()) return json;
  throw InputError(fmt::format("{}: the settings of the training are not a JSON object", path));
}

// The sections of a training checkpoint; a single unnamed one for every other file.
std::vector<io::Checkpoint> open_sections(const std::string& path) {
  std::vector<io::Checkpoint> sections;
  if (io::looks_like_torch_file(path)) {
    io::verify_torch_file(path);
    const auto root = io::read_torch_file(path);
    if (root->find("ema") != nullptr) sections.push_back(io::open_checkpoint(path));
    if (root->find("model") != nullptr) {
      sections.push_back(io::open_checkpoint(path, io::Weights::model));
    }
  }
  if (sections.empty()) sections.push_back(io::open_checkpoint(path));
  return sections;
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
        scheduler_config_from_json(io::read_text(path, io::most_json_bytes), path.string()));
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

Json describe_checkpoint(const std::string& path) {
  const auto sections = open_sections(path);
  for (const auto& section : sections) check_finite(path, section.tensors);
  const auto& checkpoint = sections.front();
  Json json{{"kind", "tensors"}, {"format", checkpoint.format}};
  add_counts(json, checkpoint.tensors);
  if (!checkpoint.section.empty()) json["section"] = checkpoint.section;
  for (const auto& [name, value] : checkpoint.metadata) {
    if (name != "config")
      json["metadata"][name] = value;  // the configuration has a line of its own
  }
  const auto inferred = infer_dit_config(shapes_of(checkpoint.tensors));
  if (!inferred) {
    Json shapes = Json::object();
    for (const auto& [name, tensor] : checkpoint.tensors) shapes[name] = tensor.sizes().vec();
    json["shapes"] = std::move(shapes);
    return json;
  }
  const bool says = checkpoint.metadata.contains("config");
  const auto config = says ? resolve_dit_config("", checkpoint) : *inferred;
  json["kind"] = "model";
  json["architecture"] = dit_name(config);
  json["described_as"] = describe_dit(config);
  json["config_from"] = says ? "the file's metadata" : "the shapes of its tensors";
  json["config"] = Json::parse(to_json(config));
  json["fingerprint"] = checked_fingerprint(checkpoint, config);
  if (sections.size() > 1) json["model_fingerprint"] = checked_fingerprint(sections.back(), config);
  return json;
}

}  // namespace

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

Json describe_weights(const std::string& path) {
  if (is_folder(path)) return describe_diffusers(path);
  if (is_training_state(path)) return describe_training_state(path);
  return is_diffusers_file(path) ? describe_diffusers(path) : describe_checkpoint(path);
}

}  // namespace l2c::cli
