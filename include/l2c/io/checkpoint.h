// Checkpoints of either format behind one face.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "l2c/io/file.h"
#include "l2c/io/safetensors.h"

namespace l2c::io {

// Which weights of a training checkpoint {model, ema, opt, args} are meant.
enum class Weights { ema, model };

struct Checkpoint {
  std::filesystem::path path;
  std::string format;                        // "safetensors", "torch zip", "torch (before 1.6)"
  std::string section;                       // "ema", "model" or "" (a bare state_dict)
  TensorMap tensors;                         // may read a mapped file: clone() what must outlive it
  Metadata metadata;                         // safetensors only
  std::shared_ptr<const MappedFile> file{};  // what `tensors` read
  std::vector<std::shared_ptr<const MappedFile>> shards{};  // the same of a sharded one
};

// Whether a safetensors file with this metadata is what a training of ours goes on from
// (checkpoint-STEP.safetensors in its folder).
bool is_training_state(const Metadata& metadata);

// Opens an index of safetensors files by its name (sharded.h), else a safetensors file or one of
// torch.save (.pt, .pth), told apart by content. A training checkpoint of torch.save gives its
// `ema` state_dict, or `model` where there is no ema or `weights` asks for it. Throws InputError:
// not a checkpoint, truncated, no state_dict inside, `model` asked but absent, a sparse or
// quantized tensor in it, a training's own state (the message names the results beside it).
Checkpoint open_checkpoint(const std::filesystem::path& path, Weights weights = Weights::ema);

}  // namespace l2c::io
