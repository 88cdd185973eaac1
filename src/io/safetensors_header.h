// The JSON header of a safetensors file: names of dtypes, and a reader for hostile input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "l2c/core/torch.h"
#include "l2c/io/safetensors.h"

namespace l2c::io {

constexpr std::size_t kLargestHeader = 100'000'000;  // the format's limit, in bytes
constexpr const char* kMetadataKey = "__metadata__";
// Ours, far above any real file: bounds on what a hostile one can make us allocate. What is written
// keeps them, so that it can be read.
constexpr std::size_t kMostTensors = 50'000;
constexpr std::size_t kMostEntries = 100'000;  // of metadata
constexpr std::size_t kMostAxes = 64;
constexpr std::size_t kLongestName = 2'000;                  // in bytes
constexpr std::size_t kLongestText = std::size_t{4} << 20U;  // of metadata, as JSON, in bytes

// By the first letter of its header.
bool looks_like_safetensors(std::span<const std::byte> bytes) noexcept;

std::optional<at::ScalarType> dtype_of_name(std::string_view name);
// Null for a dtype that the format has no name for.
const char* name_of_dtype(at::ScalarType dtype);

struct HeaderEntry {
  std::string dtype;
  std::vector<std::uint64_t> shape;
  std::vector<std::uint64_t> data_offsets;  // always two
};

struct Header {
  Metadata metadata;
  std::map<std::string, HeaderEntry> tensors;
};

// Structure only: valid JSON and UTF-8, no key twice, each tensor with dtype, shape and two
// offsets, whole numbers >= 0, metadata of strings. Needs memory in proportion to the text.
// `file` is for messages. Throws InputError.
Header parse_header(std::string_view text, const std::string& file);

}  // namespace l2c::io
