// Models and runners that the tests of this folder share.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "l2c/models/dit.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c::test {

// forward.safetensors of dit_tiny or fashion_mnist, on device().
struct ModelInput {
  at::Tensor x, t, y;
};
ModelInput input_of(const io::SafetensorsFile& golden);

// Computes everything and keeps branch outputs ("blocks.i.attn_branch") and tokens after each block
// ("blocks.i.out").
class RecordingRunner final : public BranchRunner {
 public:
  BranchValue branch(BranchId id, BranchFunction compute) override;
  void trunk(Trunk& trunk) override;
  std::map<std::string, at::Tensor> recorded;
};

// Computes everything into memory of its own.
class StoringRunner final : public BranchRunner {
 public:
  StoringRunner(std::int64_t rows, const DiTConfig& config) : rows_(rows), config_(config) {}
  BranchValue branch(BranchId id, BranchFunction compute) override;
  std::map<int, at::Tensor> stored;  // by unit

 private:
  std::int64_t rows_;
  DiTConfig config_;
};

// Hands back stored values and computes what is not stored.
class ReusingRunner final : public BranchRunner {
 public:
  explicit ReusingRunner(std::map<int, at::Tensor> values) : values_(std::move(values)) {}
  BranchValue branch(BranchId id, BranchFunction compute) override;
  std::vector<int> computed;  // units, in order

 private:
  std::map<int, at::Tensor> values_;
};

}  // namespace l2c::test
