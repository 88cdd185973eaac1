#include "l2c/evaluation/inception.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "inception_layers.h"
#include "l2c/core/device.h"
#include "l2c/core/error.h"
#include "l2c/core/torch_errors.h"
#include "l2c/evaluation/torchscript_network.h"
#include "l2c/io/checkpoint.h"
#include "l2c/io/torch_checkpoint.h"
#include "l2c/models/weights.h"
#include "pixel_blocks.h"

namespace l2c {

namespace {

const char* name_of(InceptionInput input) {
  return input == InceptionInput::tensorflow ? "tensorflow" : "pytorch-fid";
}

// [299, size]: what each of the network's rows takes of the image's rows. TensorFlow 1 puts pixel i
// at i * size / 299 of the image, without the half pixels of later versions.
at::Tensor tensorflow_weights(std::int64_t size) {
  const auto table = at::zeros({inception_size, size});
  auto values = table.accessor<float, 2>();
  const float scale = static_cast<float>(size) / static_cast<float>(inception_size);
  for (std::int64_t i = 0; i < inception_size; ++i) {
    const float place = static_cast<float>(i) * scale;
    const auto low = static_cast<std::int64_t>(std::floor(place));
    const float part = place - static_cast<float>(low);
    values[i][low] += 1 - part;
    values[i][std::min(low + 1, size - 1)] += part;
  }
  return table;
}

at::Tensor prepared(const at::Tensor& pixels, InceptionInput input) {
  if (input == InceptionInput::pytorch_fid) {
    return at::upsample_bilinear2d(pixels, {inception_size, inception_size},
                                   /*align_corners=*/false);
  }
  const auto bytes = (pixels + 1) * 127.5;
  const auto rows = tensorflow_weights(bytes.size(2)).to(bytes.device());
  const auto columns = tensorflow_weights(bytes.size(3)).to(bytes.device());
  return (at::matmul(at::matmul(rows, bytes), columns.t()) - 128) / 128;
}

io::TensorMap without_counters(const io::TensorMap& weights) {
  io::TensorMap kept;
  for (const auto& [name, value] : weights) {
    if (!name.ends_with(".num_batches_tracked")) kept[name] = value;
  }
  return kept;
}

}  // namespace

InceptionInput parse_inception_input(const std::string& name) {
  for (const auto input : {InceptionInput::pytorch_fid, InceptionInput::tensorflow}) {
    if (name == name_of(input)) return input;
  }
  throw InputError(
      fmt::format("'{}' is no preparation of images: give pytorch-fid or tensorflow", name));
}

struct Inception::State {
  InceptionNetwork network;
  InceptionInput input;
  at::Device device;
};

Inception::Inception(const io::TensorMap& weights, const std::filesystem::path& where,
                     const InceptionOptions& options) {
  const c10::InferenceMode no_inference(false);
  const at::NoGradGuard no_grad;
  const auto device = parse_device(options.device);
  if (device.is_cuda()) disable_tf32();
  const auto kept = without_counters(weights);
  check_weights(StoredWeights(kept, where.string()), inception_shapes(),
                "the Inception network of FID (pytorch-fid's names)", [] {
                  return std::string(
                      "take pytorch-fid's pt_inception-2015-12-05-6726825d.pth (see "
                      "docs/evaluation.md): torchvision's own weights are another network");
                });
  // 2: spatial features in the order of spatial_rows().
  fingerprint_ =
      l2c::fingerprint(kept, fmt::format("Inception of FID, input {}, 2", name_of(options.input)));
  description_ = fmt::format("Inception-v3 of FID, images prepared as for {}: {} features",
                             name_of(options.input), inception_features);
  state_ = std::make_unique<const State>(
      State{.network = InceptionNetwork(kept, device), .input = options.input, .device = device});
}

Inception::~Inception() = default;

Features Inception::extract(const at::Tensor& pixels) const {
  check_any_pixels(pixels, description_);
  // 7 MB of activations an image at the widest place.
  const std::int64_t most = state_->device.is_cuda() ? 64 : 16;
  return in_blocks(pixels, most, [&](const at::Tensor& block) -> Features {
    const auto output = state_->network(prepared(block.to(state_->device), state_->input));
    return {.features = output.pool.cpu(),
            .probabilities = output.logits.softmax(1).cpu(),
            .spatial = output.spatial.cpu()};
  });
}

std::shared_ptr<const FeatureNetwork> load_inception(const std::filesystem::path& path,
                                                     const InceptionOptions& options) {
  const bool is_program = io::holds_torchscript(path);
  if (is_program && options.input != InceptionInput::pytorch_fid) {
    throw InputError(fmt::format(
        "'{}' is a TorchScript program, which prepares its images itself: leave the preparation "
        "at its default",
        path.string()));
  }
  std::optional<io::Checkpoint> checkpoint;
  if (!is_program) checkpoint = io::open_checkpoint(path);
  std::shared_ptr<const FeatureNetwork> network;
  with_our_errors("close other programs, or take another device", [&] {
    if (checkpoint) {
      network = std::make_shared<const Inception>(checkpoint->tensors, path, options);
    } else {
      network = std::make_shared<const TorchScriptNetwork>(path, options.device);
    }
  });
  return network;
}

}  // namespace l2c
