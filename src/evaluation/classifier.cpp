#include "l2c/evaluation/classifier.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "classifier_layers.h"
#include "l2c/core/error.h"
#include "l2c/models/weights.h"

namespace l2c {

namespace {

// Every block has this many images, an incomplete one is filled up: kernels are chosen by shape, so
// an image's features would else depend on how many others came with it.
std::int64_t block_size(const ClassifierConfig& config) {
  constexpr std::int64_t most_images = 128;
  constexpr std::int64_t most_pixels = 512 * 1024;
  const std::int64_t pixels = std::int64_t{config.image_size} * config.image_size;
  return std::clamp<std::int64_t>(most_pixels / pixels, 1, most_images);
}

ShapeMap expected_shapes(const ClassifierConfig& config) {
  ShapeMap shapes;
  std::int64_t in = config.channels;
  for (std::size_t i = 0; i < config.widths.size(); ++i) {
    const std::int64_t out = config.widths[i];
    shapes[conv_name(i, "weight")] = {out, in, 3, 3};
    shapes[conv_name(i, "bias")] = {out};
    in = out;
  }
  shapes["linear.weight"] = {config.num_classes, in};
  shapes["linear.bias"] = {config.num_classes};
  return shapes;
}

std::string describe(const ClassifierConfig& config) {
  return fmt::format(
      "a classifier of {0} x {0} images with {1} channel{2}, {3} classes, widths {4}: {5} features",
      config.image_size, config.channels, config.channels == 1 ? "" : "s", config.num_classes,
      fmt::join(config.widths, "-"), config.features());
}

void check_pixels(const at::Tensor& pixels, const ClassifierConfig& config) {
  if (!pixels.defined() || pixels.dim() != 4 || pixels.size(1) != config.channels ||
      pixels.size(2) != config.image_size || pixels.size(3) != config.image_size) {
    throw InputError(fmt::format(
        "the classifier takes pixels [N, {0}, {1}, {1}], not {2}: use images of that size, or "
        "another classifier",
        config.channels, config.image_size,
        pixels.defined() ? fmt::format("[{}]", fmt::join(pixels.sizes(), ", ")) : "nothing"));
  }
  if (!pixels.is_floating_point()) {
    throw InputError(
        fmt::format("the classifier takes floating-point pixels in [-1, 1], not {}: convert them",
                    at::toString(pixels.scalar_type())));
  }
}

void check_range(const char* what, int value, int least, int most, const std::string& where) {
  if (value >= least && value <= most) return;
  throw InputError(
      fmt::format("{}: {} is {}, allowed are {} to {}", where, what, value, least, most));
}

}  // namespace

std::string conv_name(std::size_t index, const char* what) {
  return fmt::format("conv.{}.{}", index, what);
}

at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    std::size_t index) {
  return at::conv2d(x, weight, bias, /*stride=*/ClassifierConfig::strides.at(index),
                    /*padding=*/1);
}

at::Tensor pool(const at::Tensor& x) { return x.mean({2, 3}); }

void check_classifier_config(const ClassifierConfig& config, const std::string& where) {
  if (config.channels != 1 && config.channels != 3) {
    throw InputError(
        fmt::format("{}: channels is {}, allowed are 1 and 3", where, config.channels));
  }
  check_range("image_size", config.image_size, 8, 1024, where);
  check_range("num_classes", config.num_classes, 2, 100'000, where);
  for (const int width : config.widths) check_range("a width", width, 1, 4096, where);
}

Classifier::Classifier(const ClassifierConfig& config, const io::TensorMap& weights,
                       const std::filesystem::path& where)
    : config_(config), description_(describe(config)) {
  const c10::InferenceMode no_inference(false);
  const at::NoGradGuard no_grad;
  check_classifier_config(config, where.string());
  check_weights(StoredWeights(weights, where.string()), expected_shapes(config), description_,
                [] { return std::string("use a complete file, or train the classifier again"); });
  for (const auto& [name, value] : weights) {
    // The layout that the CPU's convolutions are fastest in.
    const auto layout =
        value.dim() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
    weights_[name] = value.detach().to(at::TensorOptions(at::kFloat).device(at::kCPU),
                                       /*non_blocking=*/false, /*copy=*/true, layout);
  }
  fingerprint_ = l2c::fingerprint(weights_, classifier_config_json(config));
}

Features Classifier::extract(const at::Tensor& pixels) const {
  check_pixels(pixels, config_);
  const at::NoGradGuard no_grad;
  const std::int64_t count = pixels.size(0);
  const std::int64_t most = block_size(config_);
  Features all{.features = at::empty({count, config_.features()}),
               .probabilities = at::empty({count, config_.num_classes})};
  for (std::int64_t first = 0; first < count; first += most) {
    const std::int64_t size = std::min(most, count - first);
    const at::Tensor images = pixels.narrow(0, first, size).to(at::kCPU, at::kFloat);
    if (!at::isfinite(images).all().item<bool>()) {
      throw InputError(fmt::format(
          "the pixels of images {} to {} hold values that are not finite: the model that made "
          "them, or the file that they came from, is broken",
          first, first + size - 1));
    }
    const Features part = block(images);
    all.features.narrow(0, first, size).copy_(part.features.narrow(0, 0, size));
    all.probabilities.narrow(0, first, size).copy_(part.probabilities.narrow(0, 0, size));
  }
  return all;
}

Features Classifier::block(const at::Tensor& pixels) const {
  at::Tensor x =
      at::zeros({block_size(config_), config_.channels, config_.image_size, config_.image_size})
          .contiguous(at::MemoryFormat::ChannelsLast);
  x.narrow(0, 0, pixels.size(0)).copy_(pixels);
  for (std::size_t i = 0; i < config_.widths.size(); ++i) {
    x = convolve(x, weights_.at(conv_name(i, "weight")), weights_.at(conv_name(i, "bias")), i)
            .relu_();
  }
  x = pool(x);
  const at::Tensor logits = at::linear(x, weights_.at("linear.weight"), weights_.at("linear.bias"));
  return {.features = x, .probabilities = logits.softmax(1)};
}

}  // namespace l2c
