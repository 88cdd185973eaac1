#include "l2c/io/hash.h"

#include <fmt/format.h>

#include <bit>

// The functions are compiled in here: no library to link.
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace l2c::io {

static_assert(std::endian::native == std::endian::little,
              "values are hashed as they lie in memory");

struct Hash::State {
  XXH3_state_t value;
};

Hash::Hash() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->value); }

Hash::~Hash() = default;

void Hash::bytes(const void* data, std::size_t size) {
  XXH3_128bits_update(&state_->value, data, size);
}

void Hash::number(std::int64_t value) { bytes(&value, sizeof value); }

void Hash::text(std::string_view value) {
  number(static_cast<std::int64_t>(value.size()));
  bytes(value.data(), value.size());
}

std::string Hash::hex() const {
  const XXH128_hash_t digest = XXH3_128bits_digest(&state_->value);
  return fmt::format("{:016x}{:016x}", digest.high64, digest.low64);
}

}  // namespace l2c::io
