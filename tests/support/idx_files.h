// Hand-made IDX and gzip files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace l2c::test {

// An IDX file's content: the header for this element type and shape, then `values` as they are.
std::string idx_bytes(unsigned char type, const std::vector<std::uint32_t>& shape,
                      std::string_view values);

// One gzip member that holds these bytes.
std::string gzip_bytes(std::string_view bytes);

void write_file(const std::filesystem::path& path, std::string_view bytes);

}  // namespace l2c::test
