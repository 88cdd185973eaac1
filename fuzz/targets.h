// What the fuzzers and the tests do with the bytes of a file: one function for each kind of reader.
#pragma once

#include <cstdint>
#include <span>

namespace l2c::fuzz {

using Bytes = std::span<const std::uint8_t>;

// Each reads the bytes as somebody's file, the way that the program does: opens it, asks for its
// names, and reads the data of every tensor, pixel or field. Any bytes may be refused with an
// InputError, which says so in less than 2000 bytes without control characters and names the file:
// that ends the call. All else that goes wrong (another exception, an answer that contradicts
// itself) passes through: it is a finding. One call at a time.
void json_config(Bytes bytes);
void png_text(Bytes bytes);
void router(Bytes bytes);
void safetensors(Bytes bytes);
void torch_legacy(Bytes bytes);
void torch_zip(Bytes bytes);

struct Target {
  const char* name;  // of its function, its fuzzer, and its folder below fuzz/corpus
  void (*read)(Bytes bytes);
};
// All of them, by name.
std::span<const Target> targets();

}  // namespace l2c::fuzz
