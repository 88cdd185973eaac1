#include "byte_files.h"

#include <zlib.h>

#include <cstdint>
#include <fstream>
#include <iterator>

#include "support/golden.h"

namespace l2c::test {

namespace {

std::uint32_t checksum(std::string_view data) {
  return static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(data.data()), data.size()));
}

// Fields that local header and table of contents share, from "version needed" on.
std::string common(const std::string& name, std::string_view data, std::size_t extra, bool zip64) {
  const auto size = zip64 ? 0xFFFFFFFFU : static_cast<std::uint32_t>(data.size());
  return packed<std::uint16_t>(20) + packed<std::uint16_t>(0) + packed<std::uint16_t>(0) +
         packed<std::uint32_t>(0) + packed(checksum(data)) + packed(size) + packed(size) +
         packed(static_cast<std::uint16_t>(name.size())) +
         packed(static_cast<std::uint16_t>(extra));
}

}  // namespace

std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_bytes(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::string make_zip(const ZipEntries& entries, bool zip64) {
  std::string file, contents;
  for (const auto& [name, data] : entries) {
    std::string wide;
    if (zip64) {
      wide = packed<std::uint16_t>(1) + packed<std::uint16_t>(24) +
             packed<std::uint64_t>(data.size()) + packed<std::uint64_t>(data.size()) +
             packed<std::uint64_t>(file.size());
    }
    const auto offset = zip64 ? 0xFFFFFFFFU : static_cast<std::uint32_t>(file.size());
    contents += std::string("PK\1\2") + packed<std::uint16_t>(20) +
                common(name, data, wide.size(), zip64) + std::string(10, '\0') + packed(offset) +
                name + wide;
    file += std::string("PK\3\4") + common(name, data, 0, zip64) + name + data;
  }
  const auto start = file.size();
  file += contents;
  const auto count = entries.size();
  if (zip64) {
    const auto end = file.size();
    file += std::string("PK\6\6") + packed<std::uint64_t>(44) + packed<std::uint32_t>(0) +
            std::string(8, '\0') + packed<std::uint64_t>(count) + packed<std::uint64_t>(count) +
            packed<std::uint64_t>(contents.size()) + packed<std::uint64_t>(start);
    file += std::string("PK\6\7") + packed<std::uint32_t>(0) + packed<std::uint64_t>(end) +
            packed<std::uint32_t>(1);
    return file + "PK\5\6" + std::string(4, '\0') + std::string(12, '\xff') + std::string(2, '\0');
  }
  return file + "PK\5\6" + std::string(4, '\0') + packed(static_cast<std::uint16_t>(count)) +
         packed(static_cast<std::uint16_t>(count)) +
         packed(static_cast<std::uint32_t>(contents.size())) +
         packed(static_cast<std::uint32_t>(start)) + std::string(2, '\0');
}

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
