// The forward pass. Where the network of 2015 differs from torchvision's (learned from pytorch-fid,
// which documents it): average pooling leaves the padding out of its mean, and the last block has
// maximum pooling.
#include <fmt/format.h>

#include <utility>

#include "inception_layers.h"
#include "pixel_blocks.h"

namespace l2c {

namespace {

constexpr double eps = 1e-3;  // of the batch normalizations
// TensorFlow's "mixed_6/conv", of which ADM's evaluator takes 17 * 17 * 7 numbers.
constexpr const char* spatial_block = "Mixed_6d";

at::Tensor mean_pool(const at::Tensor& x) {
  return at::avg_pool2d(x, {3, 3}, {1, 1}, {1, 1}, /*ceil_mode=*/false,
                        /*count_include_pad=*/false);
}
at::Tensor shrinking_pool(const at::Tensor& x) { return at::max_pool2d(x, {3, 3}, {2, 2}); }

}  // namespace

InceptionNetwork::InceptionNetwork(const io::TensorMap& weights, at::Device device) {
  const auto in_double = [&](const std::string& name) { return weights.at(name).to(at::kDouble); };
  const auto kept = [&](const at::Tensor& value) { return value.to(device, at::kFloat); };
  for (auto& conv : inception_convolutions()) {
    const auto factor = in_double(conv.name + ".bn.weight") /
                        (in_double(conv.name + ".bn.running_var") + eps).sqrt();
    const auto bias =
        in_double(conv.name + ".bn.bias") - in_double(conv.name + ".bn.running_mean") * factor;
    const auto weight = in_double(conv.name + ".conv.weight") * factor.view({-1, 1, 1, 1});
    const auto name = conv.name;
    layers_[name] = {.weight = kept(weight).contiguous(at::MemoryFormat::ChannelsLast),
                     .bias = kept(bias),
                     .shape = std::move(conv)};
  }
  classes_ = kept(weights.at("fc.weight")).contiguous();
}

at::Tensor InceptionNetwork::conv(const at::Tensor& x, const std::string& name) const {
  const auto& layer = layers_.at(name);
  const auto stride = layer.shape.stride;
  return at::conv2d(x, layer.weight, layer.bias, {stride, stride}, layer.shape.padding).relu_();
}

at::Tensor InceptionNetwork::chain(const at::Tensor& x, const std::string& name,
                                   std::initializer_list<const char*> parts) const {
  at::Tensor y = x;
  for (const char* part : parts) y = conv(y, fmt::format("{}_{}", name, part));
  return y;
}

at::Tensor InceptionNetwork::grid35(const at::Tensor& x, const std::string& block) const {
  return at::cat({conv(x, block + ".branch1x1"), chain(x, block + ".branch5x5", {"1", "2"}),
                  chain(x, block + ".branch3x3dbl", {"1", "2", "3"}),
                  conv(mean_pool(x), block + ".branch_pool")},
                 1);
}

at::Tensor InceptionNetwork::grid17(const at::Tensor& x, const std::string& block) const {
  return at::cat({conv(x, block + ".branch1x1"), chain(x, block + ".branch7x7", {"1", "2", "3"}),
                  chain(x, block + ".branch7x7dbl", {"1", "2", "3", "4", "5"}),
                  conv(mean_pool(x), block + ".branch_pool")},
                 1);
}

at::Tensor InceptionNetwork::grid8(const at::Tensor& x, const std::string& block,
                                   const at::Tensor& pooled) const {
  const auto narrow = chain(x, block + ".branch3x3", {"1"});
  const auto deep = chain(x, block + ".branch3x3dbl", {"1", "2"});
  return at::cat({conv(x, block + ".branch1x1"), conv(narrow, block + ".branch3x3_2a"),
                  conv(narrow, block + ".branch3x3_2b"), conv(deep, block + ".branch3x3dbl_3a"),
                  conv(deep, block + ".branch3x3dbl_3b"), conv(pooled, block + ".branch_pool")},
                 1);
}

at::Tensor InceptionNetwork::shrink35(const at::Tensor& x) const {
  return at::cat({conv(x, "Mixed_6a.branch3x3"), chain(x, "Mixed_6a.branch3x3dbl", {"1", "2", "3"}),
                  shrinking_pool(x)},
                 1);
}

at::Tensor InceptionNetwork::shrink17(const at::Tensor& x) const {
  return at::cat({chain(x, "Mixed_7a.branch3x3", {"1", "2"}),
                  chain(x, "Mixed_7a.branch7x7x3", {"1", "2", "3", "4"}), shrinking_pool(x)},
                 1);
}

InceptionOutput InceptionNetwork::operator()(const at::Tensor& pixels) const {
  InceptionOutput output;
  auto x = pixels.contiguous(at::MemoryFormat::ChannelsLast);
  for (const char* name : {"Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3"}) x = conv(x, name);
  x = shrinking_pool(x);
  for (const char* name : {"Conv2d_3b_1x1", "Conv2d_4a_3x3"}) x = conv(x, name);
  x = shrinking_pool(x);
  for (const char* block : {"Mixed_5b", "Mixed_5c", "Mixed_5d"}) x = grid35(x, block);
  x = shrink35(x);
  for (const std::string block : {"Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"}) {
    x = grid17(x, block);
    // The block's first channels are those of its 1 x 1 convolution.
    if (block == spatial_block) output.spatial = spatial_rows(x);
  }
  x = shrink17(x);
  x = grid8(x, "Mixed_7b", mean_pool(x));
  x = grid8(x, "Mixed_7c", at::max_pool2d(x, {3, 3}, {1, 1}, {1, 1}));
  output.pool = x.mean({2, 3});
  output.logits = at::linear(output.pool, classes_);
  return output;
}

}  // namespace l2c
