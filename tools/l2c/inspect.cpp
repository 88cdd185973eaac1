// l2c inspect: what a file holds, and whether it is sound.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/App.hpp>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <system_error>
#include <vector>

#include "commands.h"
#include "console.h"
#include "l2c/cache/policies.h"
#include "l2c/core/error.h"
#include "l2c/diffusion/scheduler.h"
#include "l2c/evaluation/report.h"
#include "l2c/io/checkpoint.h"
#include "l2c/io/file.h"
#include "l2c/io/json_text.h"
#include "l2c/io/safetensors.h"
#include "l2c/io/torch_checkpoint.h"
#include "l2c/models/dit.h"
#include "l2c/models/dit_infer.h"
#include "l2c/models/dit_source.h"
#include "l2c/sampling/planning.h"
#include "report.h"

namespace l2c::cli {

namespace {

using Json = nlohmann::ordered_json;

// Branches reused at the cache steps for some thresholds. Only routers of DiT samplers follow the
// rule of LearnedRouter; the published U-ViT ones do not say their sampler.
Json reuse_table(const Router& router) {
  Json table = Json::array();
  if (router.info().sampler.empty()) return table;
  const auto shape =
      plan_shape(router.units() / 2, router.info().spacing, router.rows(), router.info().sampler);
  for (const double threshold : {0.1, 0.5, 0.9}) {
    const auto plan = LearnedRouter(router, threshold).plan(shape).value();
    table.push_back({{"threshold", threshold},
                     {"reused", plan.reused()},
                     {"cache_step_branches", plan.cache_step_branches()}});
  }
  return table;
}

Json describe_router(const std::string& path) {
  const auto router = Router::load(path);
  const RouterInfo& info = router.info();
  Json json{{"kind", "router"},
            {"steps", router.rows()},
            {"units", router.units()},
            {"blocks", router.units() / 2}};
  if (!info.sampler.empty()) json["sampler"] = info.sampler;
  if (!info.spacing.empty()) json["spacing"] = info.spacing;
  if (info.threshold) json["threshold"] = *info.threshold;
  if (info.lambda) json["lambda"] = *info.lambda;
  if (!info.model_fingerprint.empty()) json["model_fingerprint"] = info.model_fingerprint;
  if (!info.training.empty()) json["training"] = info.training;
  json["reuse"] = reuse_table(router);
  return json;
}

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

// What a training goes on from.
bool is_training_state(const std::string& path) {
  const std::string end = ".safetensors";
  return path.ends_with(end) && io::is_training_state(io::SafetensorsFile::open(path).metadata());
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

bool is_folder(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
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

std::string value_text(const Json& value) {
  return value.is_string() ? value.get<std::string>()
                           : value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void print(const std::string& path, const Json& json) {
  say(fmt::format("{}: sound", path));
  for (const auto& [key, value] : json.items()) {
    if (key == "reuse") {
      for (const auto& row : value) {
        say(fmt::format("  at threshold {:<10} {} of {} branches of the cache steps reused",
                        row["threshold"].get<double>(), row["reused"].get<int>(),
                        row["cache_step_branches"].get<int>()));
      }
    } else if (key == "metadata" || key == "settings") {
      for (const auto& [name, text] : value.items()) {
        say(fmt::format("  {:<22} {}", name, value_text(text)));
      }
    } else if (key == "shapes") {
      for (const auto& [name, shape] : value.items()) {
        say(fmt::format("  {} {}", name, shape.dump()));
      }
    } else {
      say(fmt::format("  {:<22} {}", key, value_text(value)));
    }
  }
}

// What l2c eval wrote: its table, and what it was made of.
void inspect_report(const std::string& path, bool json) {
  const std::string text = io::read_text(path);
  const std::string table = recorded_table(text, path);
  if (json) {
    say(text);
    return;
  }
  const auto report = Json::parse(text);
  say(table);
  for (const auto* part : {"settings", "machine", "model", "network", "reference"}) {
    if (report.contains(part)) say(fmt::format("{:<10} {}", part, report[part].dump()));
  }
}

Json describe(const std::string& path) {
  if (is_folder(path)) return describe_diffusers(path);
  if (Router::recognises(path)) return describe_router(path);
  if (is_training_state(path)) return describe_training_state(path);
  return is_diffusers_file(path) ? describe_diffusers(path) : describe_checkpoint(path);
}

void inspect(const std::string& path, bool json) {
  if (path.ends_with(".json")) {
    inspect_report(path, json);
    return;
  }
  const auto description = describe(path);
  if (json) {
    say(json_text(description));
  } else {
    print(path, description);
  }
}

}  // namespace

void add_inspect(CLI::App& app) {
  auto* command = app.add_subcommand("inspect",
                                     "Describe a checkpoint, Diffusers folder, router, tensor "
                                     "file, training checkpoint or report of "
                                     "eval; exit "
                                     "code 0 sound, 2 bad.");
  auto path = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  command->add_option("file", *path, "the file, or the folder of a Diffusers DiT")->required();
  command->add_flag("--json", *json, "for programs");
  command->footer("Example:\n  l2c inspect DDIM20_router.pt");
  command->callback([path, json] { inspect(*path, *json); });
}

}  // namespace l2c::cli
