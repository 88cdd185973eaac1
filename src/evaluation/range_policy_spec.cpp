#include "range_policy_spec.h"

#include <limits>
#include <optional>

#include "l2c/cache/delta_dit.h"
#include "l2c/cache/first_block_cache.h"
#include "l2c/cache/tea_cache.h"

namespace l2c {

namespace {

constexpr int most_evaluations = 1000;
constexpr int most_blocks = 1000;
constexpr double any_size = std::numeric_limits<double>::max();

std::shared_ptr<const CachePolicy> first_block(SpecText& spec) {
  FirstBlockOptions options;
  options.threshold = spec.value_between(0, any_size);
  options.blocks = spec.whole_option("blocks", options.blocks, 1, most_blocks);
  options.warm_up = spec.whole_option("warm-up", options.warm_up, 0, most_evaluations);
  options.most = spec.whole_option("most", options.most, 0, most_evaluations);
  spec.finish();
  return std::make_shared<FirstBlockCache>(options);
}

std::shared_ptr<const CachePolicy> tea_cache(SpecText& spec) {
  TeaCacheOptions options;
  options.threshold = spec.value_between(0, any_size);
  options.coefficients = spec.numbers_option("coefficients", options.coefficients);
  spec.finish();
  return std::make_shared<TeaCache>(options);
}

std::shared_ptr<const CachePolicy> delta_dit(SpecText& spec) {
  // Out of range, so that it says whether the option is there.
  constexpr int unset = -1;
  const auto given = [](int value) {
    return value == unset ? std::optional<int>() : std::optional<int>(value);
  };
  DeltaDiTOptions options;
  options.interval = spec.whole_value(1, most_evaluations);
  options.blocks = given(spec.whole_option("blocks", unset, 1, most_blocks));
  options.boundary = given(spec.whole_option("boundary", unset, 0, most_evaluations));
  spec.finish();
  return std::make_shared<DeltaDiT>(options);
}

}  // namespace

std::shared_ptr<const CachePolicy> parse_range_policy(SpecText& spec) {
  if (!spec.has_value()) return nullptr;
  if (spec.kind() == "first-block") return first_block(spec);
  if (spec.kind() == "teacache") return tea_cache(spec);
  if (spec.kind() == "delta-dit") return delta_dit(spec);
  return nullptr;
}

}  // namespace l2c
