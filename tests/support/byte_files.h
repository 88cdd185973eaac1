// Hand-made files for the tests of the readers.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace l2c::test {

std::string read_bytes(const std::filesystem::path& path);
void write_bytes(const std::filesystem::path& path, std::string_view bytes);

// The value's bytes, little-endian.
template <typename T>
std::string packed(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// One after the other.
std::string joined(std::initializer_list<std::string_view> parts);

using ZipEntries = std::vector<std::pair<std::string, std::string>>;  // name, content

// A zip file of stored entries with right checksums; zip64 writes all sizes in the wide form.
std::string make_zip(const ZipEntries& entries, bool zip64 = false);

// The same with deflated entries.
std::string make_deflated_zip(const ZipEntries& entries);
// Places of an entry's fields in the table of contents.
enum class ZipField {
  flags = 8,
  method = 10,
  checksum = 16,
  packed_size = 20,
  size = 24,
  header = 42
};
// Puts another value there, and into the header before the entry's data unless told otherwise.
void patch_entry(std::string& zip, const std::string& name, ZipField field,
                 const std::string& value, bool local_too = true);

// One deflate stream without a header.
std::string deflated(std::string_view data);

// A file as torch.save writes it around this pickle program, with one storage "0".
std::filesystem::path torch_file(std::string_view program, std::string_view storage = "");

// A safetensors file of this header and data.
std::filesystem::path safetensors_file(std::string_view header, std::string_view data = "");

}  // namespace l2c::test
