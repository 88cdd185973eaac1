#include "diffusion_support.h"

#include <algorithm>
#include <utility>

#include "l2c/training/diffusion_trainer.h"
#include "support/golden.h"

namespace l2c::test {

namespace fs = std::filesystem;

Squares::Squares(std::int64_t size, int channels) {
  info_ = {.description = "squares",
           .fingerprint = "0123",
           .size = size,
           .channels = channels,
           .image_size = 8,
           .num_classes = 2,
           .class_names = {}};
}

DataBatch Squares::batch(c10::ArrayRef<std::int64_t> numbers) const {
  DataBatch batch{at::empty({static_cast<std::int64_t>(numbers.size()), 1, 8, 8}),
                  at::empty({static_cast<std::int64_t>(numbers.size())}, at::kLong)};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i);
    const bool bright = numbers[i] % 2 == 1;
    batch.x[row].fill_(bright ? 1.0 : -1.0);
    batch.x[row].narrow(2, 0, 2).fill_(static_cast<double>(numbers[i]) / 24);
    batch.y[row].fill_(bright ? 1 : 0);
  }
  return batch;
}

DiTConfig small() {
  return {.input_size = 8,
          .patch_size = 4,
          .in_channels = 1,
          .hidden_size = 16,
          .depth = 2,
          .num_heads = 2,
          .num_classes = 2};
}

DiffusionTrainingOptions quick() {
  DiffusionTrainingOptions options;
  options.steps = 12;
  options.batch_size = 8;
  options.learning_rate = 1e-2;
  options.ema_decay = 0.9;
  options.save_every = 5;
  options.report_every = 4;
  return options;
}

io::TensorMap read(const fs::path& file) {
  io::TensorMap tensors = io::SafetensorsFile::open(file).tensors();
  for (auto& [name, tensor] : tensors) tensor = tensor.clone();
  return tensors;
}

io::TensorMap train(const DiffusionTrainingOptions& options, const DiTConfig& config,
                    std::shared_ptr<const DataSet> data) {
  const auto folder = scratch() / "run";
  DiffusionTrainer(config, std::move(data), options, folder).run();
  return read(folder / "model.safetensors");
}

bool same(const io::TensorMap& a, const io::TensorMap& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.first == y.first && at::equal(x.second, y.second);
  });
}

}  // namespace l2c::test
