// Texts and numbers in a file's metadata.
#pragma once

#include <cstdint>
#include <string>

#include "l2c/io/safetensors.h"

namespace l2c {

// Each throws InputError that names file and key: absent, or not a number.
const std::string& metadata_text(const io::SafetensorsFile& file, const std::string& key);
void read_metadata(const io::SafetensorsFile& file, const std::string& key, int& number);
void read_metadata(const io::SafetensorsFile& file, const std::string& key, std::int64_t& number);
void read_metadata(const io::SafetensorsFile& file, const std::string& key, double& number);

}  // namespace l2c
