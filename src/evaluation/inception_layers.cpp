// Sizes: Szegedy et al., arXiv 1512.00567, as torchvision's Inception3 and pytorch-fid's weights
// have them.
#include "inception_layers.h"

#include <fmt/format.h>

namespace l2c {

namespace {

using Shape = std::array<std::int64_t, 2>;
constexpr Shape k1x1{1, 1}, k3x3{3, 3}, k5x5{5, 5}, k1x7{1, 7}, k7x1{7, 1}, k1x3{1, 3}, k3x1{3, 1};

class Table {
 public:
  std::vector<InceptionConv> operator()() && {
    stem();
    grid35("Mixed_5b", 192, 32);
    grid35("Mixed_5c", 256, 64);
    grid35("Mixed_5d", 288, 64);
    shrink35();
    grid17("Mixed_6b", 128);
    grid17("Mixed_6c", 160);
    grid17("Mixed_6d", 160);
    grid17("Mixed_6e", 192);
    shrink17();
    grid8("Mixed_7b", 1280);
    grid8("Mixed_7c", 2048);
    return std::move(list_);
  }

 private:
  // Keeps the size: padded by half the kernel.
  void same(const std::string& name, std::int64_t in, std::int64_t out, Shape kernel = k1x1) {
    list_.push_back({.name = block_ + name,
                     .in = in,
                     .out = out,
                     .kernel = kernel,
                     .stride = 1,
                     .padding = {kernel[0] / 2, kernel[1] / 2}});
  }
  void valid3x3(const std::string& name, std::int64_t in, std::int64_t out, std::int64_t stride) {
    list_.push_back({.name = block_ + name,
                     .in = in,
                     .out = out,
                     .kernel = k3x3,
                     .stride = stride,
                     .padding = {0, 0}});
  }
  void begin(const std::string& block) { block_ = block + "."; }

  void stem() {
    valid3x3("Conv2d_1a_3x3", 3, 32, 2);
    valid3x3("Conv2d_2a_3x3", 32, 32, 1);
    same("Conv2d_2b_3x3", 32, 64, k3x3);
    same("Conv2d_3b_1x1", 64, 80);
    valid3x3("Conv2d_4a_3x3", 80, 192, 1);
  }
  void grid35(const std::string& block, std::int64_t in, std::int64_t pooled) {
    begin(block);
    same("branch1x1", in, 64);
    same("branch5x5_1", in, 48);
    same("branch5x5_2", 48, 64, k5x5);
    same("branch3x3dbl_1", in, 64);
    same("branch3x3dbl_2", 64, 96, k3x3);
    same("branch3x3dbl_3", 96, 96, k3x3);
    same("branch_pool", in, pooled);
  }
  void shrink35() {
    begin("Mixed_6a");
    valid3x3("branch3x3", 288, 384, 2);
    same("branch3x3dbl_1", 288, 64);
    same("branch3x3dbl_2", 64, 96, k3x3);
    valid3x3("branch3x3dbl_3", 96, 96, 2);
  }
  void grid17(const std::string& block, std::int64_t inner) {
    constexpr std::int64_t in = 768;
    begin(block);
    same("branch1x1", in, 192);
    same("branch7x7_1", in, inner);
    same("branch7x7_2", inner, inner, k1x7);
    same("branch7x7_3", inner, 192, k7x1);
    same("branch7x7dbl_1", in, inner);
    same("branch7x7dbl_2", inner, inner, k7x1);
    same("branch7x7dbl_3", inner, inner, k1x7);
    same("branch7x7dbl_4", inner, inner, k7x1);
    same("branch7x7dbl_5", inner, 192, k1x7);
    same("branch_pool", in, 192);
  }
  void shrink17() {
    begin("Mixed_7a");
    same("branch3x3_1", 768, 192);
    valid3x3("branch3x3_2", 192, 320, 2);
    same("branch7x7x3_1", 768, 192);
    same("branch7x7x3_2", 192, 192, k1x7);
    same("branch7x7x3_3", 192, 192, k7x1);
    valid3x3("branch7x7x3_4", 192, 192, 2);
  }
  void grid8(const std::string& block, std::int64_t in) {
    begin(block);
    same("branch1x1", in, 320);
    same("branch3x3_1", in, 384);
    same("branch3x3_2a", 384, 384, k1x3);
    same("branch3x3_2b", 384, 384, k3x1);
    same("branch3x3dbl_1", in, 448);
    same("branch3x3dbl_2", 448, 384, k3x3);
    same("branch3x3dbl_3a", 384, 384, k1x3);
    same("branch3x3dbl_3b", 384, 384, k3x1);
    same("branch_pool", in, 192);
  }

  std::string block_;
  std::vector<InceptionConv> list_;
};

}  // namespace

std::vector<InceptionConv> inception_convolutions() { return Table()(); }

ShapeMap inception_shapes() {
  ShapeMap shapes;
  for (const auto& conv : inception_convolutions()) {
    shapes[conv.name + ".conv.weight"] = {conv.out, conv.in, conv.kernel[0], conv.kernel[1]};
    for (const char* part : {"weight", "bias", "running_mean", "running_var"}) {
      shapes[fmt::format("{}.bn.{}", conv.name, part)] = {conv.out};
    }
  }
  shapes["fc.weight"] = {inception_classes, inception_features};
  shapes["fc.bias"] = {inception_classes};
  return shapes;
}

}  // namespace l2c
