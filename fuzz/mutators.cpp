#include "mutators.h"

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

namespace l2c::fuzz {

namespace {

// One in `n`.
bool one_in(unsigned n, Random& random) { return random() % n == 0; }

std::uint32_t checksum(std::string_view data) {
  return static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(data.data()), data.size()));
}

std::uint32_t big_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return __builtin_bswap32(value);
}

}  // namespace

// Gives every chunk that lies within the file the checksum that its bytes have.
std::string mutated_png(std::string_view bytes, std::size_t most, const Mutate& mutate) {
  constexpr std::size_t signature = 8, length_and_type = 8, around = 12;
  if (bytes.size() < signature || bytes.substr(0, 4) != "\x89PNG") return {};
  std::string changed = mutate(std::string(bytes), most);
  for (std::size_t at = signature; changed.size() >= at + around;) {
    const std::size_t length = big_endian(changed, at);
    if (length > changed.size() - at - around) break;
    const std::size_t end = at + length_and_type + length;
    const auto right =
        __builtin_bswap32(checksum(std::string_view(changed).substr(at + 4, end - at - 4)));
    std::memcpy(changed.data() + end, &right, sizeof right);
    at = end + sizeof right;
  }
  return changed;
}

// Changes the header or the data, and says the header's new size.
std::string mutated_safetensors(std::string_view bytes, std::size_t most, const Mutate& mutate) {
  constexpr std::size_t start = sizeof(std::uint64_t);
  std::uint64_t size = 0;
  if (bytes.size() <= start || most < bytes.size() || bytes[start] != '{') return {};
  std::memcpy(&size, bytes.data(), sizeof size);
  if (size > bytes.size() - start) return {};
  const std::string_view data = bytes.substr(start + size);
  const std::string header =
      mutate(std::string(bytes.substr(start, size)), most - start - data.size());
  size = header.size();
  std::string changed(reinterpret_cast<const char*>(&size), sizeof size);
  return changed.append(header).append(data);
}

std::string mutated(std::string_view bytes, std::size_t most, Random& random,
                    const Mutate& mutate) {
  constexpr unsigned plainly = 5;
  std::string changed;
  if (!one_in(plainly, random)) {
    changed = mutated_zip(bytes, most, random, mutate);
    if (changed.empty()) changed = mutated_png(bytes, most, mutate);
    if (changed.empty()) changed = mutated_safetensors(bytes, most, mutate);
  }
  if (changed.empty() || changed.size() > most) changed = mutate(std::string(bytes), most);
  return changed;
}

}  // namespace l2c::fuzz
