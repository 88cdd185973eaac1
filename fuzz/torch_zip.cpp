// Files of torch.save since PyTorch 1.6: a pickle and storages in a zip archive.
#include "l2c/io/npz.h"
#include "pickle_values.h"
#include "reading.h"

namespace l2c::fuzz {

void torch_zip(Bytes bytes) {
  torch_file(bytes);
  const auto& path = file_of(bytes);
  accepted(path.native(), [&] { (void)io::holds_torchscript(path); });
  // numpy's archives are the same zip files.
  accepted(path.native(), [&] {
    const auto file = io::NpzFile::open(path);
    for (const auto& name : file.names()) {
      require(file.contains(name), "a name is not contained");
      touch(file.tensor(name));
    }
  });
}

}  // namespace l2c::fuzz
