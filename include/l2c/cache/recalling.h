// Any policy with any recall. No LibTorch header behind it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "l2c/cache/policy.h"
#include "l2c/cache/recall.h"

namespace l2c {

// Decides as `policy` does; what is reused is `recall`'s.
class Recalling final : public CachePolicy {
 public:
  // Throws InputError when one of them is null.
  Recalling(std::shared_ptr<const CachePolicy> policy, std::shared_ptr<const Recall> recall);
  [[nodiscard]] std::string name() const override;
  [[nodiscard]] std::optional<CachePlan> plan(const RunShape& shape) const override;
  // Its own recall is in force, whatever is given.
  [[nodiscard]] std::unique_ptr<CacheRun> start(const RunShape& shape, CacheStore& store,
                                                const Recall* recall) const override;
  [[nodiscard]] int most_stored(const RunShape& shape, const Recall* recall) const override;

 private:
  std::shared_ptr<const CachePolicy> policy_;
  std::shared_ptr<const Recall> recall_;
};

}  // namespace l2c
