// Models and small helpers for tests above the models module.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "l2c/io/checkpoint.h"
#include "l2c/io/file.h"
#include "l2c/models/dit.h"
#include "l2c/models/dit_config.h"
#include "support/golden.h"

namespace l2c::test {

inline DiTConfig tiny_config() { return dit_config(data("dit_tiny/config.json").string()); }

inline io::Checkpoint tiny_checkpoint() {
  return io::open_checkpoint(data("dit_tiny/weights.safetensors"));
}

// The model of the dit_tiny goldens, on device().
inline std::shared_ptr<const DiT> tiny_model() {
  return DiT::load(tiny_config(), tiny_checkpoint(), device());
}

// The tiny model without a null label (class_dropout_prob 0): it cannot be guided.
inline std::shared_ptr<const DiT> tiny_model_without_null_label() {
  auto config = tiny_config();
  config.class_dropout_prob = 0;
  auto checkpoint = tiny_checkpoint();
  auto& table = checkpoint.tensors.at("y_embedder.embedding_table.weight");
  table = table.narrow(0, 0, config.num_classes).clone();
  return DiT::load(config, checkpoint);
}

// The shipped one.
inline std::filesystem::path demo_model() {
  return source_dir() / "assets/fashion-mnist/dit.safetensors";
}

}  // namespace l2c::test
