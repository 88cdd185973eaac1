// What the fuzzers start from is sound: a seed that its reader refuses leads nowhere.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "fuzz/seeds.h"
#include "l2c/cache/router.h"
#include "l2c/diffusion/scheduler.h"
#include "l2c/io/checkpoint.h"
#include "l2c/io/file.h"
#include "l2c/io/npz.h"
#include "l2c/io/png.h"
#include "l2c/io/safetensors.h"
#include "l2c/models/autoencoder.h"
#include "l2c/models/dit_config.h"
#include "l2c/sampling/image_settings.h"
#include "support/byte_files.h"
#include "support/golden.h"
#include "support/hostile_files.h"

namespace l2c {
namespace {

void read(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  const auto text = [&] { return io::read_text(path); };
  if (name.starts_with("router")) {
    (void)Router::load(path);
  } else if (name == "dit.json") {
    (void)dit_config_from_json(text(), name);
  } else if (name == "vae.json") {
    (void)autoencoder_config_from_json(text(), name);
  } else if (name == "solver.json") {
    (void)scheduler_config_from_json(text(), name);
  } else if (name == "settings.json") {
    (void)parse_image_settings(text(), name);
  } else if (path.extension() == ".png") {
    (void)io::read_png(path);
  } else if (path.extension() == ".npz") {
    (void)io::NpzFile::open(path).tensor("mu");
  } else if (name == "training-state.safetensors") {
    (void)io::SafetensorsFile::open(path);
  } else if (name != "index.json") {  // whose files do not exist
    (void)io::open_checkpoint(path);
  }
}

TEST(Seeds, AreSound) {
  for (const auto& seed : test::seeds()) {
    const auto path = test::scratch() / seed.name;
    test::write_bytes(path, seed.bytes);
    test::keep_file(path.stem().string(), seed.name, seed.bytes);
    EXPECT_NO_THROW(read(path)) << seed.name;
  }
}

}  // namespace
}  // namespace l2c
