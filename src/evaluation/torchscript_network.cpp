#include "l2c/evaluation/torchscript_network.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <new>
#include <utility>
#include <vector>

#include "l2c/core/device.h"
#include "l2c/core/error.h"
#include "l2c/core/hash.h"
#include "l2c/io/file.h"
#include "pixel_blocks.h"

namespace l2c {

namespace {

constexpr const char* accepted =
    "expected a tensor of features [N, D], a tuple (features, spatial, logits), or a dictionary "
    "with \"features\"";

// What went wrong, without a backtrace: LibTorch's own errors keep theirs apart; those of programs
// that were running, which come as a plain exception, have the reason in a line at their end.
std::string reason(const std::exception& error) {
  if (const auto* const own = dynamic_cast<const c10::Error*>(&error)) {
    return own->what_without_backtrace();
  }
  std::string text = error.what();
  const auto last = text.find_last_not_of(" \n");
  text.resize(last == std::string::npos ? 0 : last + 1);
  return text.substr(text.rfind('\n') + 1);
}

// A running program's errors have lost their class.
bool is_out_of_memory(const std::string& reason) {
  return reason.find("out of memory") != std::string::npos ||
         reason.find("allocate memory") != std::string::npos;
}

std::string shape_text(const at::Tensor& tensor) {
  return fmt::format("{} [{}]", at::toString(tensor.scalar_type()),
                     fmt::join(tensor.sizes(), ", "));
}

}  // namespace

struct TorchScriptNetwork::State {
  torch::jit::Module module;
  at::Device device;
  std::string file;
  bool takes_return_features = false;  // NVIDIA's form
  bool takes_no_output_bias = false;

  [[noreturn]] void fail(const std::string& what) const {
    throw InputError(fmt::format("'{}': {}", file, what));
  }

  void read_arguments() {
    const auto method = module.find_method("forward");
    if (!method) fail("the TorchScript program has no forward(images)");
    const auto& arguments = method->function().getSchema().arguments();
    std::size_t required = 0;
    for (const auto& argument : arguments) {
      takes_return_features |= argument.name() == "return_features";
      takes_no_output_bias |= argument.name() == "no_output_bias";
      if (!argument.default_value()) ++required;
    }
    constexpr std::size_t self_and_images = 2;
    if (required != self_and_images) {
      fail(
          fmt::format("its forward() needs {} arguments; expected one, the uint8 images "
                      "[N, 3, H, W]",
                      required - 1));
    }
  }

  [[nodiscard]] c10::IValue call(const at::Tensor& images, const char* option = nullptr) const {
    auto callee = module;  // a handle
    torch::jit::Kwargs options;
    if (option != nullptr) options[option] = true;
    try {
      return callee.get_method("forward")({images}, options);
    } catch (const c10::OutOfMemoryError&) {
      throw;
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception& error) {
      const auto why = reason(error);
      if (is_out_of_memory(why)) {
        throw RunError(
            fmt::format("'{}': out of memory for images {}: close other programs, or "
                        "take another device",
                        file, shape_text(images)));
      }
      fail(fmt::format("the program failed for images {}: {}", shape_text(images), why));
    }
  }

  [[nodiscard]] at::Tensor as_tensor(const c10::IValue& value, const char* what) const {
    if (!value.isTensor())
      fail(fmt::format("its {} are a {}: {}", what, value.tagKind(), accepted));
    const auto tensor = value.toTensor().to(at::kCPU);
    if (!tensor.is_floating_point()) {
      fail(fmt::format("its {} are {}; expected a floating type", what, shape_text(tensor)));
    }
    return tensor.to(at::kFloat);
  }

  // [N, D]
  [[nodiscard]] at::Tensor rows(const c10::IValue& value, const char* what,
                                std::int64_t images) const {
    auto tensor = as_tensor(value, what);
    if (tensor.dim() == 4 && tensor.size(2) == 1 && tensor.size(3) == 1) tensor = tensor.flatten(1);
    if (tensor.dim() != 2 || tensor.size(0) != images) {
      fail(fmt::format("its {} of {} images are {}; expected [{}, D]: {}", what, images,
                       shape_text(tensor), images, accepted));
    }
    return tensor.contiguous();
  }

  [[nodiscard]] at::Tensor places(const c10::IValue& value, std::int64_t images) const {
    const auto tensor = as_tensor(value, "spatial features");
    if (tensor.dim() != 4 || tensor.size(0) != images) {
      fail(fmt::format("its spatial features of {} images are {}; expected [{}, C, h, w]", images,
                       shape_text(tensor), images));
    }
    return spatial_rows(tensor);
  }

  [[nodiscard]] Features from_tuple(const c10::IValue& value, std::int64_t images) const {
    const auto& parts = value.toTupleRef().elements();
    if (parts.empty() || parts.size() > 3) {
      fail(fmt::format("it gives a tuple of {}: {}", parts.size(), accepted));
    }
    Features features{.features = rows(parts[0], "features", images)};
    std::size_t next = 1;
    if (next < parts.size() && parts[next].isTensor() && parts[next].toTensor().dim() == 4) {
      features.spatial = places(parts[next++], images);
    }
    if (next < parts.size()) {
      features.probabilities = rows(parts[next++], "logits", images).softmax(1);
    }
    if (next < parts.size()) fail(fmt::format("it gives a tuple of another order: {}", accepted));
    return features;
  }

  [[nodiscard]] Features from_dict(const c10::IValue& value, std::int64_t images) const {
    const auto dict = value.toGenericDict();
    const auto has = [&](const char* key) { return dict.contains(key); };
    if (dict.keyType()->kind() != c10::TypeKind::StringType || !has("features")) {
      fail(fmt::format("it gives a dictionary without \"features\": {}", accepted));
    }
    Features features{.features = rows(dict.at("features"), "features", images)};
    if (has("spatial")) features.spatial = places(dict.at("spatial"), images);
    if (has("probabilities")) {
      features.probabilities = rows(dict.at("probabilities"), "probabilities", images);
    } else if (has("logits")) {
      features.probabilities = rows(dict.at("logits"), "logits", images).softmax(1);
    }
    return features;
  }

  [[nodiscard]] Features answer(const at::Tensor& images) const {
    const auto count = images.size(0);
    if (takes_return_features) {
      Features features{.features = rows(call(images, "return_features"), "features", count)};
      const auto* option = takes_no_output_bias ? "no_output_bias" : nullptr;
      features.probabilities = rows(call(images, option), "probabilities", count);
      return features;
    }
    const auto value = call(images);
    if (value.isTuple()) return from_tuple(value, count);
    if (value.isGenericDict()) return from_dict(value, count);
    return {.features = rows(value, "features", count)};
  }
};

TorchScriptNetwork::TorchScriptNetwork(const std::filesystem::path& path,
                                       const std::string& device) {
  const auto where = parse_device(device);
  if (where.is_cuda()) disable_tf32();
  const auto file = io::MappedFile::open(path);
  try {
    state_ = std::make_unique<State>(State{
        .module = torch::jit::load(path.string(), where), .device = where, .file = path.string()});
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    throw InputError(fmt::format("'{}' is no TorchScript program that this LibTorch can load: {}",
                                 path.string(), reason(error)));
  }
  state_->module.eval();
  state_->read_arguments();
  Hash hash;
  hash.text("TorchScript, 2");  // 2: spatial features in the order of spatial_rows()
  hash.bytes(file->bytes().data(), file->bytes().size());
  fingerprint_ = hash.hex();
  description_ = fmt::format("the TorchScript program {}", path.filename().string());
}

TorchScriptNetwork::~TorchScriptNetwork() = default;

Features TorchScriptNetwork::extract(const at::Tensor& pixels) const {
  check_any_pixels(pixels, description_);
  constexpr std::int64_t most = 32;
  return in_blocks(pixels, most, [&](const at::Tensor& block) {
    const auto bytes = ((block + 1) * 127.5).round().clamp(0, 255).to(at::kByte).contiguous();
    return state_->answer(bytes.to(state_->device));
  });
}

}  // namespace l2c
