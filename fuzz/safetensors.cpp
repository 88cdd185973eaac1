// Files of safetensors: of models, of routers, of a training.
#include "l2c/io/safetensors.h"

#include <string>

#include "l2c/io/checkpoint.h"
#include "reading.h"

namespace l2c::fuzz {

void safetensors(Bytes bytes) {
  const auto& path = file_of(bytes);
  const bool sound = accepted(path.native(), [&] {
    const auto file = io::SafetensorsFile::open(path);
    const auto names = file.names();
    for (const std::string& name : names) {
      require(file.contains(name), "a name is not contained");
      touch(file.tensor(name));
    }
    require(file.tensors().size() == names.size(), "names and tensors differ in number");
    require(!io::content_checksum(file.tensors(), file.metadata()).empty(), "no checksum");
  });
  const bool checkpoint = accepted(path.native(), [&] {
    const auto opened = io::open_checkpoint(path);
    if (opened.format != "safetensors") return;
    require(sound, "a checkpoint that is no sound safetensors file");
    for (const auto& [name, tensor] : opened.tensors) touch(tensor);
  });
  if (sound && !checkpoint) {
    const auto file = io::SafetensorsFile::open(path);
    require(io::is_training_state(file.metadata()), "a sound file is no checkpoint");
  }
}

}  // namespace l2c::fuzz
