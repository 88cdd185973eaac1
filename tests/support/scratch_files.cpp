// The makers of byte_files.h whose files lie in the test's scratch folder.
#include "support/byte_files.h"
#include "support/golden.h"

namespace l2c::test {

std::filesystem::path torch_file(std::string_view program, std::string_view storage) {
  const auto path = scratch() / "file.pt";
  write_bytes(path, make_zip({{"file/data.pkl", std::string(program)},
                              {"file/byteorder", "little"},
                              {"file/data/0", std::string(storage)}}));
  return path;
}

std::filesystem::path safetensors_file(std::string_view header, std::string_view data) {
  const auto path = scratch() / "file.safetensors";
  write_bytes(path, packed<std::uint64_t>(header.size()) + std::string(header) + std::string(data));
  return path;
}

}  // namespace l2c::test
