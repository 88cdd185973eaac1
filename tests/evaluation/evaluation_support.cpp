#include "evaluation_support.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "l2c/cache/router.h"
#include "l2c/diffusion/noise.h"
#include "l2c/io/checkpoint.h"
#include "l2c/models/dit.h"
#include "l2c/models/dit_weights.h"
#include "support/golden.h"

namespace l2c::test {

Pipeline pixel_pipeline(std::uint64_t weights_seed, double class_dropout) {
  DiTConfig config;
  config.input_size = image_size;
  config.patch_size = 4;
  config.in_channels = 1;
  config.hidden_size = 16;
  config.depth = blocks;
  config.num_heads = 2;
  config.num_classes = classes;
  config.class_dropout_prob = class_dropout;
  io::Checkpoint checkpoint{.path = "random weights",
                            .format = "safetensors",
                            .section = "",
                            .tensors = {},
                            .metadata = {}};
  std::int64_t number = 0;
  for (const auto& [name, shape] : dit_shapes(config)) {
    checkpoint.tensors[name] = philox_normal(weights_seed, number++, -1, shape) * 0.1;
  }
  return Pipeline(DiT::load(config, checkpoint));
}

std::filesystem::path write_router(const std::string& name) {
  const auto path = scratch() / name;
  const int units = 2 * blocks;
  std::vector<float> logits;
  for (int row = 0; row < 6; ++row) {
    for (int unit = 0; unit < units; ++unit) logits.push_back(unit == 1 ? 1.0F : -3.0F);
  }
  Router(6, units, logits).save(path);
  return path;
}

Request small_request() {
  Request request;
  request.seed = 3;
  request.steps = 6;
  request.guidance = 2;
  request.batch_size = 4;
  return request;
}

SampleSetOptions small_options(std::int64_t images) {
  return {.request = small_request(),
          .policy = "compute all",
          .images = images,
          .batches_per_shard = 2};
}

QuadrantNetwork::QuadrantNetwork(int known, std::string fingerprint)
    : known_(known), fingerprint_(std::move(fingerprint)) {}

Features QuadrantNetwork::extract(const at::Tensor& pixels) const {
  const auto means = at::adaptive_avg_pool2d(pixels.mean(1, true), {2, 2}).flatten(1);
  return {.features = means, .probabilities = at::softmax(10 * means.narrow(1, 0, known_), 1)};
}

Features BrokenNetwork::extract(const at::Tensor& pixels) const {
  if (calls_++ < fails_at_) return QuadrantNetwork::extract(pixels);
  if (memory_) return {.features = at::empty({std::int64_t{1} << 50}), .probabilities = {}};
  return {.features = at::zeros({2, 3}).matmul(at::zeros({2, 3})), .probabilities = {}};
}

testing::Matcher<std::string> our_libtorch_error() {
  return testing::AllOf(testing::HasSubstr("LibTorch failed"), testing::HasSubstr("2x3"),
                        testing::Not(testing::HasSubstr("frame #")));
}

TensorData::TensorData(at::Tensor x, at::Tensor y, int num_classes)
    : x_(std::move(x)), y_(std::move(y)) {
  info_.description = "random images";
  info_.fingerprint = "data";
  info_.size = x_.size(0);
  info_.channels = static_cast<int>(x_.size(1));
  info_.image_size = static_cast<int>(x_.size(2));
  info_.num_classes = num_classes;
}

DataBatch TensorData::batch(c10::ArrayRef<std::int64_t> numbers) const {
  const auto rows = at::tensor(numbers, at::kLong);
  return {.x = x_.index_select(0, rows), .y = y_.index_select(0, rows)};
}

TensorData random_data(std::int64_t images, std::uint64_t seed, int size) {
  const auto x = philox_normal(seed, 0, -1, {images, 1, size, size}).mul(0.4).clamp(-1, 1);
  return {x, at::arange(images, at::kLong).remainder(classes)};
}

SampledImages all_images(const SampleSet& set) {
  std::vector<at::Tensor> images;
  std::vector<at::Tensor> labels;
  for (int shard = 0; shard < set.shards(); ++shard) {
    const auto part = set.images(shard);
    images.push_back(part.images);
    labels.push_back(part.labels);
  }
  return {.images = at::cat(images), .labels = at::cat(labels)};
}

}  // namespace l2c::test
