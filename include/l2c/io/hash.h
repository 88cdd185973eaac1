// Fingerprints of data: 128-bit XXH3 (https://xxhash.com). For telling data apart, not for secrets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace l2c::io {

class Hash {
 public:
  Hash();
  ~Hash();
  Hash(const Hash&) = delete;
  Hash& operator=(const Hash&) = delete;

  void bytes(const void* data, std::size_t size);
  void number(std::int64_t value);
  // With its length, so that no two sequences of texts give the same bytes.
  void text(std::string_view value);
  // Of everything so far: 32 hex digits.
  [[nodiscard]] std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace l2c::io
