// The classifier's training graph.
#include <cmath>

#include "classifier_layers.h"
#include "l2c/evaluation/classifier_trainer.h"

namespace l2c {

namespace {

constexpr double momentum = 0.1;
constexpr double eps = 1e-5;

at::Tensor parameter(const at::Tensor& value) { return value.detach().set_requires_grad(true); }

}  // namespace

ClassifierNetwork::ClassifierNetwork(const ClassifierConfig& config, const TrainingRandom& random)
    : config_(config) {
  check_classifier_config(config, "the classifier to train");
  std::int64_t in = config.channels;
  std::int64_t drawn = 0;
  for (const int out : config.widths) {
    const double scale = std::sqrt(2.0 / (9.0 * static_cast<double>(in)));
    const at::Tensor weight = (random.normal(DrawFor::weights, drawn++, {out, in, 3, 3}) * scale)
                                  .contiguous(at::MemoryFormat::ChannelsLast);
    layers_.push_back({.weight = parameter(weight),
                       .gamma = parameter(at::ones({out})),
                       .beta = parameter(at::zeros({out})),
                       .mean = at::zeros({out}),
                       .variance = at::ones({out})});
    in = out;
  }
  const double scale = 1 / std::sqrt(static_cast<double>(in));
  linear_weight_ =
      parameter(random.normal(DrawFor::weights, drawn, {config.num_classes, in}) * scale);
  linear_bias_ = parameter(at::zeros({config.num_classes}));
}

at::Tensor ClassifierNetwork::forward(const at::Tensor& pixels, bool training) {
  at::Tensor x = pixels.contiguous(at::MemoryFormat::ChannelsLast);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    x = convolve(x, layer.weight, {}, i);
    x = at::batch_norm(x, layer.gamma, layer.beta, layer.mean, layer.variance, training, momentum,
                       eps, /*cudnn_enabled=*/false)
            .relu_();
  }
  return at::linear(pool(x), linear_weight_, linear_bias_);
}

std::vector<NamedTensor> ClassifierNetwork::decayed() const {
  std::vector<NamedTensor> list;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    list.push_back({conv_name(i, "weight"), layers_[i].weight});
  }
  list.push_back({"linear.weight", linear_weight_});
  return list;
}

std::vector<NamedTensor> ClassifierNetwork::undecayed() const {
  std::vector<NamedTensor> list;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    list.push_back({conv_name(i, "gamma"), layers_[i].gamma});
    list.push_back({conv_name(i, "beta"), layers_[i].beta});
  }
  list.push_back({"linear.bias", linear_bias_});
  return list;
}

std::shared_ptr<const Classifier> ClassifierNetwork::fold() const {
  const at::NoGradGuard no_grad;
  io::TensorMap weights{{"linear.weight", linear_weight_}, {"linear.bias", linear_bias_}};
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    // In double: the fold then costs each weight one rounding only.
    const at::Tensor factor =
        layer.gamma.to(at::kDouble) / (layer.variance.to(at::kDouble) + eps).sqrt();
    const at::Tensor bias = layer.beta.to(at::kDouble) - layer.mean.to(at::kDouble) * factor;
    weights[conv_name(i, "weight")] =
        (layer.weight.to(at::kDouble) * factor.view({-1, 1, 1, 1})).to(at::kFloat);
    weights[conv_name(i, "bias")] = bias.to(at::kFloat);
  }
  return std::make_shared<const Classifier>(config_, weights, "the trained classifier");
}

}  // namespace l2c
