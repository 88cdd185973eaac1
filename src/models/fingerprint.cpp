#include <bit>
#include <cstdint>
#include <memory>
#include <string_view>

// The functions are compiled in here: no library to link.
#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

#include "l2c/models/weights.h"

namespace l2c {

namespace {

static_assert(std::endian::native == std::endian::little,
              "values are hashed as they lie in memory");

class Hash {
 public:
  Hash() : state_(XXH3_createState(), &XXH3_freeState) { XXH3_128bits_reset(state_.get()); }
  void bytes(const void* data, std::size_t size) { XXH3_128bits_update(state_.get(), data, size); }
  void number(std::int64_t value) { bytes(&value, sizeof value); }
  // With its length, so that no two sequences of texts give the same bytes.
  void text(std::string_view value) {
    number(static_cast<std::int64_t>(value.size()));
    bytes(value.data(), value.size());
  }
  [[nodiscard]] std::string hex() const {
    const XXH128_hash_t digest = XXH3_128bits_digest(state_.get());
    return fmt::format("{:016x}{:016x}", digest.high64, digest.low64);
  }

 private:
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_;
};

}  // namespace

std::string fingerprint(const io::TensorMap& tensors, const std::string& configuration) {
  Hash hash;
  hash.text(configuration);
  for (const auto& [name, tensor] : tensors) {
    hash.text(name);
    hash.number(tensor.dim());
    for (const auto size : tensor.sizes()) hash.number(size);
    const at::Tensor values = tensor.detach().to(at::kCPU, at::kFloat).contiguous();
    hash.bytes(values.const_data_ptr(), values.nbytes());
  }
  return hash.hex();
}

}  // namespace l2c
