// Folders of Diffusers models that tests may change.
#pragma once

#include <filesystem>
#include <string>

#include "l2c/io/safetensors.h"

namespace l2c::test {

// A copy of tests/data/diffusers in a fresh folder: the tiny DiT, with the weights of
// dit_tiny/weights.safetensors, as a Diffusers pipeline.
std::filesystem::path diffusers_folder();

std::filesystem::path transformer_weights(const std::filesystem::path& folder);

// Replaces `what`, which must be there, in a text file.
void replace_in(const std::filesystem::path& file, const std::string& what,
                const std::string& with);

// Changes the folder's weights.
template <typename Change>
void change_weights(const std::filesystem::path& folder, Change change) {
  io::TensorMap tensors;
  for (const auto& [name, tensor] :
       io::SafetensorsFile::open(transformer_weights(folder)).tensors())
    tensors[name] = tensor.clone();
  change(tensors);
  io::write_safetensors(transformer_weights(folder), tensors);
}

// Splits the folder's weights into `shards` files with an index; returns the index.
std::filesystem::path split_weights(const std::filesystem::path& folder, int shards);

}  // namespace l2c::test
