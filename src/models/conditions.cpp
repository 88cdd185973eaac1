#include "conditions.h"

#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "l2c/ops/workspace.h"

namespace l2c {

namespace {

// By its bits: a NaN equals itself, and 0.0 and -0.0 need not be one.
std::int64_t bits(double value) {
  std::int64_t result = 0;
  std::memcpy(&result, &value, sizeof result);
  return result;
}

}  // namespace

at::Tensor Conditions::spread(const at::Tensor& values) const {
  if (!rows.defined()) return values;
  auto sizes = values.sizes().vec();
  sizes.front() = rows.size(0);
  at::Tensor result = ops::empty(sizes, values.options());
  return at::index_select_out(result, values, 0, rows);
}

Conditions distinct_conditions(const at::Tensor& t, const at::Tensor& y) {
  const at::Tensor times = t.to(at::kDouble).contiguous();
  const at::Tensor labels = y.contiguous();
  const std::int64_t count = t.size(0);
  std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> seen;
  std::vector<std::int64_t> firsts, rows;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::pair key{bits(times.const_data_ptr<double>()[i]),
                        labels.const_data_ptr<std::int64_t>()[i]};
    const auto [found, is_new] = seen.try_emplace(key, static_cast<std::int64_t>(firsts.size()));
    if (is_new) firsts.push_back(i);
    rows.push_back(found->second);
  }
  if (static_cast<std::int64_t>(firsts.size()) == count) return {t, y, {}};
  const at::Tensor first_rows = at::tensor(firsts, at::kLong);
  return {t.index_select(0, first_rows), y.index_select(0, first_rows),
          at::tensor(rows, at::kLong)};
}

}  // namespace l2c
