// Checkpoints that are split into several safetensors files, with an index that says which tensor
// lies in which (Hugging Face's *.safetensors.index.json).
#pragma once

#include <filesystem>

#include "l2c/io/checkpoint.h"

namespace l2c::io {

// Whether a path is named like such an index.
bool is_shard_index(const std::filesystem::path& path);

// The tensors of all shards of an index, each shard mapped once. Shards lie beside the index: a
// name with a folder in it is refused, so that an index can't reach other files. Throws InputError:
// no JSON object with a "weight_map" of texts, a name that is none, a shard that is missing or no
// sound safetensors file, a tensor that is not in its shard, one that the index does not name.
Checkpoint open_sharded(const std::filesystem::path& index);

}  // namespace l2c::io
