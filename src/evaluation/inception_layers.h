// The convolutions of the Inception network that FID is defined by.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "l2c/core/torch.h"
#include "l2c/io/safetensors.h"
#include "l2c/models/weight_source.h"

namespace l2c {

// A convolution without a bias, batch normalization behind it, then a ReLU.
struct InceptionConv {
  std::string name;  // "Mixed_5b.branch1x1"
  std::int64_t in = 0;
  std::int64_t out = 0;
  std::array<std::int64_t, 2> kernel{1, 1};
  std::int64_t stride = 1;
  std::array<std::int64_t, 2> padding{0, 0};
};
// All of them, by the names that torchvision and pytorch-fid use.
std::vector<InceptionConv> inception_convolutions();

inline constexpr std::int64_t inception_features = 2048;
inline constexpr std::int64_t inception_classes = 1008;
inline constexpr std::int64_t inception_size = 299;  // height and width of what the network sees

// Names and shapes of pytorch-fid's weights file.
ShapeMap inception_shapes();

struct InceptionOutput {
  at::Tensor pool;     // [N, 2048]
  at::Tensor spatial;  // [N, 2023]
  at::Tensor logits;   // [N, 1008], without the bias
};

// The network with its normalizations folded into the convolutions.
class InceptionNetwork {
 public:
  // `weights`: of inception_shapes(); computed in double, kept in fp32 on the device.
  InceptionNetwork(const io::TensorMap& weights, at::Device device);

  // x [N, 3, 299, 299] fp32 in about [-1, 1], on the device.
  [[nodiscard]] InceptionOutput operator()(const at::Tensor& x) const;

 private:
  struct Folded {
    at::Tensor weight, bias;
    InceptionConv shape;
  };
  [[nodiscard]] at::Tensor conv(const at::Tensor& x, const std::string& name) const;
  // Several convolutions of one block, one after the other: "Mixed_5b.branch5x5" + "_1", "_2".
  [[nodiscard]] at::Tensor chain(const at::Tensor& x, const std::string& name,
                                 std::initializer_list<const char*> parts) const;
  [[nodiscard]] at::Tensor grid35(const at::Tensor& x, const std::string& block) const;
  [[nodiscard]] at::Tensor grid17(const at::Tensor& x, const std::string& block) const;
  [[nodiscard]] at::Tensor grid8(const at::Tensor& x, const std::string& block,
                                 const at::Tensor& pooled) const;
  [[nodiscard]] at::Tensor shrink35(const at::Tensor& x) const;
  [[nodiscard]] at::Tensor shrink17(const at::Tensor& x) const;

  std::map<std::string, Folded> layers_;
  at::Tensor classes_;  // [1008, 2048]
};

}  // namespace l2c
