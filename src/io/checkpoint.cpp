#include "l2c/io/checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "l2c/core/error.h"
#include "l2c/core/log.h"
#include "l2c/core/words.h"
#include "l2c/io/sharded.h"
#include "l2c/io/torch_checkpoint.h"
#include "safetensors_header.h"
#include "torch_format.h"

namespace l2c::io {

namespace {

constexpr std::size_t longest_shown = 100;

// The first keys of a dict, for messages.
std::string describe(const PickleDict& dict) {
  constexpr std::size_t kShown = 8;
  std::vector<std::string> keys;
  for (const auto& [key, value] : dict) {
    if (keys.size() == kShown) return fmt::format("{}, ...", fmt::join(keys, ", "));
    if (const std::string* text = key->text()) keys.push_back(one_line(*text, 60));
  }
  return keys.empty() ? "nothing" : fmt::format("{}", fmt::join(keys, ", "));
}

const PickleDict* find_dict(const PickleValue& value, const char* key) {
  const PicklePtr found = value.find(key);
  return found ? found->dict() : nullptr;
}

// A published U-ViT router is a bare dict of "<block>.prob".
bool is_bare_router(const PickleDict& dict) {
  return !dict.empty() && std::ranges::all_of(dict, [](const auto& item) {
    const std::string* name = item.first->text();
    return name != nullptr && name->ends_with(".prob");
  });
}

[[noreturn]] void fail_router(const std::filesystem::path& path) {
  throw InputError(fmt::format(
      "'{}' is a router, not a model: give it as the router, and a DiT checkpoint as the model",
      path.string()));
}

struct Section {
  std::string name;
  const PickleDict* dict;
};

Section choose_section(const std::filesystem::path& path, const PickleValue& root,
                       Weights weights) {
  const PickleDict* all = root.dict();
  if (all == nullptr) {
    throw InputError(fmt::format(
        "'{}' holds no state_dict: a dict of names and tensors was expected; save one with "
        "torch.save(model.state_dict(), f)",
        path.string()));
  }
  if (root.find("routers") || is_bare_router(*all)) fail_router(path);
  const PickleDict* ema = find_dict(root, "ema");
  const PickleDict* model = find_dict(root, "model");
  if (weights == Weights::model && ema != nullptr && model == nullptr) {
    throw InputError(fmt::format(
        "'{}' is a training checkpoint without 'model' weights (it holds {}); use its ema weights",
        path.string(), describe(*all)));
  }
  if (ema != nullptr && weights == Weights::ema) return {"ema", ema};
  if (model != nullptr) {
    if (weights == Weights::ema) {
      log::warning(fmt::format("'{}' has no ema weights: using its model weights", path.string()));
    }
    return {"model", model};
  }
  if (weights == Weights::model) {
    log::warning(
        fmt::format("'{}' is a bare state_dict: it has no choice of weights", path.string()));
  }
  if (const PickleDict* nested = find_dict(root, "state_dict")) return {"", nested};
  return {"", all};
}

// Sparse, quantized, on no device: left out, they would look as if the file did not have them.
bool is_other_tensor(const PickleValue& value) {
  const auto* object = std::get_if<PickleObject>(&value.value);
  return object != nullptr && (object->type.starts_with("torch._utils._rebuild_") ||
                               object->type.starts_with("torch._tensor._rebuild_") ||
                               object->type.starts_with("torch.nn.parameter.Uninitialized"));
}

TensorMap collect(const std::filesystem::path& path, const Section& section) {
  TensorMap tensors;
  for (const auto& [key, value] : *section.dict) {
    const std::string* name = key->text();
    const at::Tensor* tensor = value->tensor();
    if (name != nullptr && tensor != nullptr) {
      tensors.insert_or_assign(*name, *tensor);
    } else if (name != nullptr && is_other_tensor(*value)) {
      throw InputError(fmt::format(
          "'{}': its tensor '{}' is sparse, quantized or of another kind that is not read ({}): "
          "make it a plain one (.to_dense(), .dequantize()) and save it again",
          path.string(), one_line(*name, longest_shown),
          one_line(std::get<PickleObject>(value->value).type, longest_shown)));
    } else if (name != nullptr) {
      log::info(fmt::format("'{}': '{}' is not a tensor and was left out", path.string(),
                            one_line(*name, longest_shown)));
    }
  }
  if (tensors.empty()) {
    throw InputError(fmt::format(
        "'{}' holds no state_dict: no name of a tensor in {} (it holds {}); save one with "
        "torch.save(model.state_dict(), f)",
        path.string(), section.name.empty() ? "it" : fmt::format("its '{}'", section.name),
        describe(*section.dict)));
  }
  return tensors;
}

Checkpoint open_torch(const std::shared_ptr<const MappedFile>& file, Weights weights) {
  const std::filesystem::path& path = file->path();
  const PicklePtr root = read_torch_file(file);
  const Section section = choose_section(path, *root, weights);
  return {.path = path,
          .format = looks_like_legacy(file->bytes()) ? "torch (before 1.6)" : "torch zip",
          .section = section.name,
          .tensors = collect(path, section),
          .metadata = {},
          .file = file};
}

// Averages and the optimizer's state beside the weights: no model to load.
[[noreturn]] void fail_training_state(const std::filesystem::path& path,
                                      const SafetensorsFile& file) {
  const auto names = file.names();
  const bool model = std::ranges::any_of(
      names, [](const std::string& name) { return name.starts_with("model."); });
  throw InputError(fmt::format(
      "'{}' is a training checkpoint at step {}, which the training goes on from: its result, "
      "which "
      "can be used, is '{}'",
      path.string(), one_line(file.metadata().at("step"), longest_shown),
      (path.parent_path() / (model ? "model.safetensors" : "router.safetensors")).string()));
}

Checkpoint open_safetensors(const std::shared_ptr<const MappedFile>& mapped, Weights weights) {
  const std::filesystem::path& path = mapped->path();
  const SafetensorsFile file = SafetensorsFile::open(mapped);
  if (is_training_state(file.metadata())) fail_training_state(path, file);
  if (weights == Weights::model) {
    log::warning(
        fmt::format("'{}' is a safetensors file: it has no choice of weights", path.string()));
  }
  return {.path = path,
          .format = "safetensors",
          .section = "",
          .tensors = file.tensors(),
          .metadata = file.metadata(),
          .file = mapped};
}

}  // namespace

bool is_training_state(const Metadata& metadata) {
  return metadata.contains("step") && metadata.contains("settings") &&
         metadata.contains("checksum");
}

Checkpoint open_checkpoint(const std::filesystem::path& path, Weights weights) {
  if (is_shard_index(path)) return open_sharded(path);
  const auto file = MappedFile::open(path);
  const auto bytes = file->bytes();
  if (looks_like_torch(bytes)) return open_torch(file, weights);
  if (looks_like_safetensors(bytes) || path.extension() == ".safetensors") {
    return open_safetensors(file, weights);
  }
  throw InputError(fmt::format(
      "'{}' ({} bytes) is no checkpoint: expected a safetensors file or one of torch.save "
      "(.pt, .pth); check the path or download it again",
      path.string(), bytes.size()));
}

}  // namespace l2c::io
