#include "l2c/cache/store.h"

#include <fmt/format.h>

#include <algorithm>

#include "l2c/core/error.h"
#include "l2c/ops/workspace.h"

namespace l2c {

CacheStore::CacheStore(std::int64_t rows, std::int64_t tokens, std::int64_t width,
                       at::TensorOptions options)
    : shape_{rows, tokens, width}, options_(options) {
  if (rows < 1 || tokens < 1 || width < 1) {
    throw InputError(fmt::format("a cache store cannot hold tensors of shape [{}, {}, {}]", rows,
                                 tokens, width));
  }
  slot_bytes_ = static_cast<std::size_t>(rows * tokens * width) * options_.dtype().itemsize();
}

at::Tensor CacheStore::slot(SlotId id) {
  const auto found = slots_.find(id);
  if (found != slots_.end()) return found->second;
  at::Tensor made = ops::empty(shape_, options_);
  slots_.emplace(id, made);
  peak_bytes_ = std::max(peak_bytes_, bytes());
  return made;
}

at::Tensor CacheStore::stored(SlotId id) const {
  const auto found = slots_.find(id);
  if (found == slots_.end()) {
    throw Error(
        fmt::format("nothing is stored for pass {}, unit {}, place {}: the policy reuses a branch "
                    "that it never "
                    "stored, or dropped before",
                    id.pass, id.unit, id.place));
  }
  return found->second;
}

void CacheStore::drop(SlotId id) { slots_.erase(id); }

}  // namespace l2c
