#include "l2c/cache/router.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "l2c/core/error.h"
#include "l2c/core/hash.h"
#include "l2c/core/torch.h"

namespace l2c {

namespace {

std::string prefix(const std::string& source) {
  return source.empty() ? "router: " : "router " + source + ": ";
}

void check_shape(int rows, int units, std::size_t count, const std::string& source) {
  if (rows < 1 || units < 1) {
    throw InputError(
        fmt::format("{}{} rows of {} units; a router needs at least one row and one block",
                    prefix(source), rows, units));
  }
  if (units % 2 != 0) {
    throw InputError(fmt::format(
        "{}{} units in a row; it must be an even number, an attention and an MLP branch "
        "for each block",
        prefix(source), units));
  }
  if (count != static_cast<std::size_t>(rows) * static_cast<std::size_t>(units)) {
    throw InputError(
        fmt::format("{}{} logits for {} rows of {} units", prefix(source), count, rows, units));
  }
}

void check_group(int group, const std::string& source) {
  if (group == 0 || group >= 2) return;
  throw InputError(
      fmt::format("{}the group is {}: it must be 0 or at least 2", prefix(source), group));
}

void check_finite(int units, const std::vector<float>& logits, const std::string& source) {
  const auto bad =
      std::find_if(logits.begin(), logits.end(), [](float logit) { return !std::isfinite(logit); });
  if (bad == logits.end()) return;
  const auto position = bad - logits.begin();
  throw InputError(
      fmt::format("{}row {}, unit {} is {}: the file is damaged or its training failed",
                  prefix(source), position / units, position % units, *bad));
}

// The official code applies torch.sigmoid to one row at a time. Vectorised and scalar code differ
// in the last bit, and what is vectorised depends on the length: hence row by row here, too.
std::vector<float> sigmoid_rows(int rows, int units, const std::vector<float>& logits) {
  std::vector<float> scores(logits.size());
  const auto width = static_cast<std::size_t>(units);
  for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row) {
    const at::Tensor in = at::empty({units}, at::kFloat);
    std::copy_n(logits.data() + row * width, width, in.mutable_data_ptr<float>());
    const at::Tensor out = at::sigmoid(in);
    std::copy_n(out.const_data_ptr<float>(), width, scores.data() + row * width);
  }
  return scores;
}

}  // namespace

Router::Router(int rows, int units, std::vector<float> logits, RouterInfo info, std::string source)
    : rows_(rows),
      units_(units),
      logits_(std::move(logits)),
      info_(std::move(info)),
      source_(std::move(source)) {
  check_shape(rows_, units_, logits_.size(), source_);
  check_group(info_.group, source_);
  check_finite(units_, logits_, source_);
  scores_ = sigmoid_rows(rows_, units_, logits_);
}

std::size_t Router::at(int row, int unit) const {
  if (row < 0 || row >= rows_ || unit < 0 || unit >= units_) {
    throw InputError(fmt::format("{}there is no row {}, unit {}: it has {} rows of {} units",
                                 prefix(source_), row, unit, rows_, units_));
  }
  return static_cast<std::size_t>(row) * static_cast<std::size_t>(units_) +
         static_cast<std::size_t>(unit);
}

float Router::logit(int row, int unit) const { return logits_[at(row, unit)]; }

float Router::score(int row, int unit) const { return scores_[at(row, unit)]; }

std::string Router::fingerprint() const {
  Hash hash;
  hash.number(rows_);
  hash.number(units_);
  for (const float logit : logits_) hash.bytes(&logit, sizeof logit);
  if (info_.group != 2) hash.number(info_.group);
  return hash.hex();
}

}  // namespace l2c
