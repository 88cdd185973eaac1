// Where a model's weights come from: a file, or a seed.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "l2c/core/torch.h"
#include "l2c/io/checkpoint.h"
#include "l2c/io/safetensors.h"

namespace l2c {

using ShapeMap = std::map<std::string, std::vector<std::int64_t>>;  // sorted by name, in byte order

// The shapes of tensors.
ShapeMap shapes_of(const io::TensorMap& tensors);

// A model's weights by their official names, handed out one at a time, so that a large model never
// lies in memory twice while it is loaded. One thread at a time.
class WeightSource {
 public:
  virtual ~WeightSource() = default;

  // For messages: a file's path, or "seeded:3".
  [[nodiscard]] virtual const std::string& description() const = 0;
  [[nodiscard]] virtual const ShapeMap& shapes() const = 0;
  [[nodiscard]] virtual at::ScalarType dtype(const std::string& name) const = 0;
  // As it is stored, any dtype and device. To be read only, until the next call of tensor() or
  // release(). Throws Error when there is no such tensor.
  [[nodiscard]] virtual at::Tensor tensor(const std::string& name) const = 0;
  // The caller has read this tensor: memory that can be had back from a file is given up. The
  // tensor may be asked for again.
  virtual void release(const std::string& name) const = 0;
};

// Tensors of a checkpoint, or others that are there already.
class StoredWeights final : public WeightSource {
 public:
  // Shares the tensors and the mapped file.
  explicit StoredWeights(const io::Checkpoint& checkpoint);
  explicit StoredWeights(io::TensorMap tensors, std::string description = "the weights");

  [[nodiscard]] const std::string& description() const override { return description_; }
  [[nodiscard]] const ShapeMap& shapes() const override { return shapes_; }
  [[nodiscard]] at::ScalarType dtype(const std::string& name) const override;
  [[nodiscard]] at::Tensor tensor(const std::string& name) const override;
  void release(const std::string& name) const override;

 private:
  std::string description_;
  io::TensorMap tensors_;
  ShapeMap shapes_;
  std::vector<std::shared_ptr<const io::MappedFile>> files_;
};

// Weights drawn from a seed: a model of any size without a file, for measurements and tests; its
// images are noise. The i-th name (from 0) has r = torch.randn by a CPU generator seeded with
// seed * 100000 + i, and the value
//   0.02 r                                        for embedding tables, learned positions and
//   biases, r / sqrt(product of the axes after the first) for matrices, half of that for
//   adaLN_modulation, 1 + 0.02 r                                    for the weights of norms.
// Bit for bit PyTorch's own numbers where the processor has AVX2; the last bit may differ
// elsewhere.
class SeededWeights final : public WeightSource {
 public:
  // `computed`: tensors that are not drawn (they use up their i). Throws InputError for a seed
  // above largest_weight_seed.
  SeededWeights(ShapeMap shapes, std::uint64_t seed, io::TensorMap computed = {});

  [[nodiscard]] const std::string& description() const override { return description_; }
  [[nodiscard]] const ShapeMap& shapes() const override { return shapes_; }
  [[nodiscard]] at::ScalarType dtype(const std::string& name) const override;
  [[nodiscard]] at::Tensor tensor(const std::string& name) const override;
  void release(const std::string& name) const override;

 private:
  std::string description_;
  ShapeMap shapes_;
  std::uint64_t seed_;
  io::TensorMap computed_;
  mutable at::Tensor memory_;  // of the largest tensor, for all: no holes are left in the heap
};

}  // namespace l2c
