// l2c inspect: how two files of tensors differ.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>

#include "inspecting.h"
#include "l2c/core/error.h"
#include "l2c/io/safetensors.h"
#include "l2c/io/tensor_difference.h"
#include "l2c/models/dit_infer.h"
#include "l2c/models/dit_source.h"
#include "l2c/models/dit_weights.h"
#include "l2c/models/weights.h"

namespace l2c::cli {

namespace {

using Json = nlohmann::ordered_json;
using State = io::TensorComparison::State;

const char* state_name(State state) {
  switch (state) {
    case State::same:
      return "same";
    case State::values:
      return "values";
    case State::type:
      return "type";
    case State::shape:
      return "shape";
    case State::first:
      return "only in the first";
    case State::second:
      break;
  }
  return "only in the second";
}

constexpr State states[] = {State::same,  State::values, State::type,
                            State::shape, State::first,  State::second};

// A file by the names that are in it.
io::Checkpoint open_as_published(const std::string& path, io::Weights weights) {
  if (is_folder(path)) return open_verified(open_dit(path).weights->description(), weights);
  if (!is_training_state(path)) return open_verified(path, weights);
  const auto file = io::SafetensorsFile::open(path);
  io::Checkpoint checkpoint;
  checkpoint.path = path;
  checkpoint.format = "safetensors";
  checkpoint.tensors = file.tensors();
  checkpoint.metadata = file.metadata();
  return checkpoint;
}

Json tensor_json(const io::TensorComparison& tensor) {
  Json json{{"name", tensor.name}, {"state", state_name(tensor.state)}};
  Json types = Json::array();
  Json shapes = Json::array();
  for (const at::Tensor& each : {tensor.a, tensor.b}) {
    types.push_back(each.defined() ? Json(c10::toString(each.scalar_type())) : Json(nullptr));
    shapes.push_back(each.defined() ? Json(each.sizes().vec()) : Json(nullptr));
  }
  json["types"] = std::move(types);
  json["shapes"] = std::move(shapes);
  if (const auto& found = tensor.difference) {
    json["largest"] = found->largest;
    json["relative"] = found->relative;
    json["differing"] = found->differing;
    json["of"] = tensor.a.numel();
    json["not_finite"] = found->not_finite;
  }
  return json;
}

Json metadata_json(const io::Metadata& a, const io::Metadata& b) {
  Json json = Json::object();
  std::set<std::string> names;
  for (const auto& [name, value] : a) names.insert(name);
  for (const auto& [name, value] : b) names.insert(name);
  const auto value = [](const io::Metadata& metadata, const std::string& name) {
    const auto found = metadata.find(name);
    return found == metadata.end() ? Json(nullptr) : Json(found->second);
  };
  for (const auto& name : names) {
    if (value(a, name) == value(b, name)) continue;
    append(json, name, {value(a, name), value(b, name)});
  }
  return json;
}

// A DiT under the official names, whatever it is called in its file.
struct Model {
  DiTConfig config{};
  std::unique_ptr<const WeightSource> weights{};
};

std::optional<Model> model_of(const std::string& path, const io::Checkpoint& checkpoint,
                              io::Weights weights) {
  Model model;
  if (const auto inferred = infer_dit_config(shapes_of(checkpoint.tensors))) {
    model.config = *inferred;
    model.weights = std::make_unique<StoredWeights>(checkpoint);
    return model;
  }
  try {
    auto source = open_dit(path, "", weights);
    model.config = source.config;
    model.weights = std::move(source.weights);
    return model;
  } catch (const InputError&) {
    return std::nullopt;  // no DiT, or one that nothing is said about: there is no note then
  }
}

std::string weights_fingerprint(const WeightSource& weights) {
  Fingerprint fingerprint("");
  for (const auto& [name, shape] : weights.shapes()) {
    fingerprint.add(name, weights.tensor(name));
    weights.release(name);
  }
  return fingerprint.text();
}

// Where no name is in both: whether the models behind them are comparable at all.
std::string note_on_names(const InspectOptions& options, const io::Checkpoint& a,
                          const io::Checkpoint& b, io::Weights weights) {
  const auto first = model_of(options.file, a, weights);
  const auto second = model_of(options.other, b, weights);
  if (!first || !second || dit_shapes(first->config) != dit_shapes(second->config)) {
    return "no name is in both files";
  }
  const bool same = weights_fingerprint(*first->weights) == weights_fingerprint(*second->weights);
  return fmt::format(
      "no name is in both files, but both are {}, {}: l2c convert gives both the official names",
      describe_dit(first->config), same ? "with the same weights" : "with other weights");
}

}  // namespace

Json describe_differences(const InspectOptions& options) {
  const auto weights = options.weights == "model" ? io::Weights::model : io::Weights::ema;
  const auto a = open_as_published(options.file, weights);
  const auto b = open_as_published(options.other, weights);
  const auto tensors = io::compare_tensors(a.tensors, b.tensors);
  Json json{{"kind", "difference"}, {"files", {options.file, options.other}}};
  const auto count = [&](State state) {
    return std::ranges::count(tensors, state, &io::TensorComparison::state);
  };
  json["same"] = count(State::same) == std::ssize(tensors);
  for (const State state : states) json["tensors"][state_name(state)] = count(state);
  json["differences"] = Json::array();
  for (const auto& tensor : tensors) {
    if (tensor.state != State::same) json["differences"].push_back(tensor_json(tensor));
  }
  json["metadata"] = metadata_json(a.metadata, b.metadata);
  if (count(State::first) + count(State::second) == std::ssize(tensors)) {
    json["note"] = note_on_names(options, a, b, weights);
  }
  return json;
}

}  // namespace l2c::cli
