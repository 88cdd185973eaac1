#include "support/diffusers_folder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

#include "l2c/io/file.h"
#include "support/golden.h"
#include "support/idx_files.h"

namespace l2c::test {

namespace fs = std::filesystem;

fs::path diffusers_folder() {
  auto folder = scratch() / "DiT-tiny";
  fs::copy(data("diffusers"), folder, fs::copy_options::recursive);
  return folder;
}

fs::path transformer_weights(const fs::path& folder) {
  return folder / "transformer/diffusion_pytorch_model.safetensors";
}

void replace_in(const fs::path& file, const std::string& what, const std::string& with) {
  std::string text = io::read_text(file);
  const auto at = text.find(what);
  ASSERT_NE(at, std::string::npos) << what << " is not in " << file;
  write_file(file, text.replace(at, what.size(), with));
}

fs::path split_weights(const fs::path& folder, int shards) {
  const fs::path whole = transformer_weights(folder);
  const auto tensors = io::SafetensorsFile::open(whole).tensors();
  std::vector<io::TensorMap> parts(static_cast<std::size_t>(shards));
  std::string map;
  std::size_t next = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t part = next++ * parts.size() / tensors.size();
    parts[part][name] = tensor;
    map += fmt::format("{}\"{}\": \"shard-{}.safetensors\"", map.empty() ? "" : ", ", name, part);
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    io::write_safetensors(folder / "transformer" / fmt::format("shard-{}.safetensors", i),
                          parts[i]);
  }
  const fs::path index = whole.string() + ".index.json";
  write_file(index,
             fmt::format(R"({{"metadata": {{"total_size": 1}}, "weight_map": {{{}}}}})", map));
  fs::remove(whole);
  return index;
}

}  // namespace l2c::test
