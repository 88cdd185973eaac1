// Checks and names of a model's weights.
#pragma once

#include <string>

#include "l2c/core/hash.h"
#include "l2c/core/torch.h"
#include "l2c/io/safetensors.h"
#include "l2c/models/weight_source.h"

namespace l2c {

// Throws one InputError that lists every missing, unexpected, misshapen or non-floating tensor of
// the source (the first 12 of each kind, with expected and actual shape) and says what to do.
// `hint`, asked for only then, may say what the weights look like instead ("" for nothing).
void check_weights(const WeightSource& source, const ShapeMap& expected,
                   const std::string& architecture, c10::function_ref<std::string()> hint);

// XXH3-128 over names, shapes and fp32 values of tensors and over a configuration: 32 hex digits.
// The same weights give the same text whatever file format or dtype width they came in (bf16 and
// fp16 are widened first). Not thread-safe.
class Fingerprint {
 public:
  explicit Fingerprint(const std::string& configuration);
  // All tensors, one after the other in the order of their names.
  void add(const std::string& name, const at::Tensor& tensor);
  [[nodiscard]] std::string text() const { return hash_.hex(); }

 private:
  Hash hash_;
};

// Of tensors that are all there.
std::string fingerprint(const io::TensorMap& tensors, const std::string& configuration);

}  // namespace l2c
