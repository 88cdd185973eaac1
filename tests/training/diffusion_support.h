// What the tests of DiT training share.
#pragma once

#include <filesystem>
#include <memory>

#include "l2c/datasets/dataset.h"
#include "l2c/io/safetensors.h"
#include "l2c/models/dit_config.h"
#include "l2c/training/diffusion_options.h"

namespace l2c::test {

// Bright squares and dark squares, 8 x 8.
class Squares : public DataSet {
 public:
  explicit Squares(std::int64_t size = 24, int channels = 1);
  [[nodiscard]] const DataInfo& info() const override { return info_; }
  [[nodiscard]] DataBatch batch(c10::ArrayRef<std::int64_t> numbers) const override;
  DataInfo info_;
};

DiTConfig small();

// 12 steps of 8, saves every 5, a row of the curve every 4.
DiffusionTrainingOptions quick();

// All tensors of a file, copied.
io::TensorMap read(const std::filesystem::path& file);

// Trains in a fresh folder; gives model.safetensors.
io::TensorMap train(const DiffusionTrainingOptions& options, const DiTConfig& config = small(),
                    std::shared_ptr<const DataSet> data = std::make_shared<Squares>());

bool same(const io::TensorMap& a, const io::TensorMap& b);

}  // namespace l2c::test
