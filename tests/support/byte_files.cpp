#include "support/byte_files.h"

#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace l2c::test {

namespace {

std::uint32_t checksum(std::string_view data) {
  return static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(data.data()), data.size()));
}

// What an entry's two headers say.
struct Sizes {
  std::uint64_t size, packed_size;
  std::uint32_t checksum;
  std::uint16_t method;
};

// Fields that local header and table of contents share, from "version needed" on.
std::string common(const std::string& name, const Sizes& sizes, std::size_t extra, bool zip64) {
  const auto narrow = [zip64](std::uint64_t size) {
    return packed(zip64 ? 0xFFFFFFFFU : static_cast<std::uint32_t>(size));
  };
  return packed<std::uint16_t>(20) + packed<std::uint16_t>(0) + packed(sizes.method) +
         packed<std::uint32_t>(0) + packed(sizes.checksum) + narrow(sizes.packed_size) +
         narrow(sizes.size) + packed(static_cast<std::uint16_t>(name.size())) +
         packed(static_cast<std::uint16_t>(extra));
}

std::string wide_field(const Sizes& sizes, const std::string& offset) {
  return packed<std::uint16_t>(1) + packed(static_cast<std::uint16_t>(16 + offset.size())) +
         packed(sizes.size) + packed(sizes.packed_size) + offset;
}

// The records behind the table of contents.
std::string ending(std::size_t count, std::size_t size, std::size_t start, bool zip64) {
  if (zip64) {
    return std::string("PK\6\6") + packed<std::uint64_t>(44) + packed<std::uint32_t>(0) +
           std::string(8, '\0') + packed<std::uint64_t>(count) + packed<std::uint64_t>(count) +
           packed<std::uint64_t>(size) + packed<std::uint64_t>(start) + "PK\6\7" +
           packed<std::uint32_t>(0) + packed<std::uint64_t>(start + size) +
           packed<std::uint32_t>(1) + "PK\5\6" + std::string(4, '\0') + std::string(12, '\xff') +
           std::string(2, '\0');
  }
  return std::string("PK\5\6") + std::string(4, '\0') + packed(static_cast<std::uint16_t>(count)) +
         packed(static_cast<std::uint16_t>(count)) + packed(static_cast<std::uint32_t>(size)) +
         packed(static_cast<std::uint32_t>(start)) + std::string(2, '\0');
}

std::string pack_entries(const ZipEntries& entries, bool zip64, bool deflate) {
  constexpr std::uint16_t kDeflated = 8;
  std::string file, contents;
  for (const auto& [name, data] : entries) {
    const std::string content = deflate ? deflated(data) : data;
    const Sizes sizes{.size = data.size(),
                      .packed_size = content.size(),
                      .checksum = checksum(data),
                      .method = deflate ? kDeflated : std::uint16_t{0}};
    const auto offset = packed<std::uint64_t>(file.size());
    const std::string local = zip64 ? wide_field(sizes, "") : "";
    const std::string wide = zip64 ? wide_field(sizes, offset) : "";
    contents += std::string("PK\1\2") + packed<std::uint16_t>(20) +
                common(name, sizes, wide.size(), zip64) + std::string(10, '\0') +
                (zip64 ? std::string(4, '\xff') : offset.substr(0, 4)) + name + wide;
    file +=
        std::string("PK\3\4") + common(name, sizes, local.size(), zip64) + name + local + content;
  }
  return file + contents + ending(entries.size(), contents.size(), file.size(), zip64);
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

std::string joined(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const std::string_view part : parts) all.append(part);
  return all;
}

std::string make_zip(const ZipEntries& entries, bool zip64) {
  return pack_entries(entries, zip64, false);
}

std::string make_deflated_zip(const ZipEntries& entries) {
  return pack_entries(entries, false, true);
}

void patch_entry(std::string& zip, const std::string& name, ZipField field,
                 const std::string& value, bool local_too) {
  constexpr std::size_t kDirectorySize = 46, kLocalShift = 2;
  const auto place = static_cast<std::size_t>(field);
  std::size_t entry = zip.find("PK\1\2");
  while (entry != zip.npos && zip.compare(entry + kDirectorySize, name.size(), name) != 0) {
    entry = zip.find("PK\1\2", entry + 1);
  }
  if (entry == zip.npos) throw std::logic_error("no such entry: " + name);
  std::uint32_t header = 0;
  std::memcpy(&header, zip.data() + entry + static_cast<std::size_t>(ZipField::header),
              sizeof header);
  zip.replace(entry + place, value.size(), value);
  if (local_too) zip.replace(header + place - kLocalShift, value.size(), value);
}

std::string deflated(std::string_view data) {
  constexpr int kRaw = -15, kMemory = 8;
  z_stream stream{};
  deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, kRaw, kMemory, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, data.size()), '\0');
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(packed.size() - stream.avail_out);
  deflateEnd(&stream);
  return packed;
}

}  // namespace l2c::test
