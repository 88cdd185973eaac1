#include "l2c/cache/recall.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "l2c/cache/fitted_recall.h"
#include "l2c/core/error.h"

namespace l2c {

namespace {

constexpr int highest_order = 8;

void check_order(std::string_view kind, int order) {
  if (order >= 1 && order <= highest_order) return;
  throw InputError(
      fmt::format("a {} forecast of order {}: give 1 to {}", kind, order, highest_order));
}

[[noreturn]] void refuse(const std::string& text) {
  throw InputError(fmt::format(
      "\"{}\" is no way to recall a branch: give latest, taylor:ORDER, chebyshev:ORDER or "
      "fitted:FILE@DEPTH, with an order of 1 to {}",
      text, highest_order));
}

int order_of(const std::string& text, std::string_view digits) {
  int order = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), order);
  if (error != std::errc() || end != digits.data() + digits.size()) refuse(text);
  return order;
}

// FILE or FILE@DEPTH, unless a file has that very name.
std::shared_ptr<const Recall> parse_fitted(const std::string& value) {
  constexpr int default_depth = 2;
  const auto at = value.rfind('@');
  std::error_code error;
  if (at == std::string::npos || std::filesystem::exists(value, error)) {
    return std::make_shared<FittedRecall>(FittedRecall::load(value, default_depth));
  }
  const int depth = order_of("fitted:" + value, std::string_view(value).substr(at + 1));
  return std::make_shared<FittedRecall>(FittedRecall::load(value.substr(0, at), depth));
}

// In evaluations, positive.
double distance(const Moment& later, const Moment& earlier) {
  return later.evaluation - earlier.evaluation;
}

}  // namespace

std::vector<double> Latest::weights(int /*unit*/, std::span<const Moment> known,
                                    const Moment&) const {
  std::vector<double> weights(known.size(), 0.0);
  weights.front() = 1;
  return weights;
}

Taylor::Taylor(int order) : order_(order) { check_order("taylor", order); }

std::string Taylor::name() const { return fmt::format("taylor:{}", order_); }

std::vector<double> Taylor::weights(int /*unit*/, std::span<const Moment> known,
                                    const Moment& now) const {
  const std::size_t count = known.size();
  // differences[j]: the derivative as of known[j], as a combination of the values; order 0 first.
  std::vector<std::vector<double>> differences(count, std::vector<double>(count, 0.0));
  for (std::size_t j = 0; j < count; ++j) differences[j][j] = 1;
  std::vector<double> weights(count, 0.0);
  double factor = 1;  // distance^order / order!
  for (std::size_t order = 0; order < count; ++order) {
    for (std::size_t i = 0; i < count; ++i) weights[i] += factor * differences[0][i];
    factor *= distance(now, known[0]) / static_cast<double>(order + 1);
    for (std::size_t j = 0; j + order + 1 < count; ++j) {
      const double step = distance(known[j], known[j + 1]);
      for (std::size_t i = 0; i < count; ++i) {
        differences[j][i] = (differences[j][i] - differences[j + 1][i]) / step;
      }
    }
  }
  return weights;
}

Chebyshev::Chebyshev(int order) : order_(order) { check_order("chebyshev", order); }

std::string Chebyshev::name() const { return fmt::format("chebyshev:{}", order_); }

std::vector<double> Chebyshev::weights(int /*unit*/, std::span<const Moment> known,
                                       const Moment& now) const {
  // Of the sizes' sum; two values are always above it, as evenly spaced ones are.
  constexpr double least_share = 0.05;
  std::vector<double> weights(known.size(), 0.0);
  for (std::size_t count = known.size(); count > 1; --count) {
    double sum = 0;
    double sizes = 0;
    for (std::size_t j = 0; j < count; ++j) {
      const double end = j == 0 || j + 1 == count ? 0.5 : 1;
      const double sign = j % 2 == 0 ? 1 : -1;
      weights[j] = sign * end / distance(now, known[j]);
      sum += weights[j];
      sizes += std::abs(weights[j]);
    }
    if (sum > least_share * sizes || count == 2) {
      for (double& weight : weights) weight /= sum;
      return weights;
    }
    weights[count - 1] = 0;
  }
  weights.front() = 1;
  return weights;
}

std::vector<double> checked_weights(const Recall& recall, int unit, std::span<const Moment> known,
                                    const Moment& now) {
  if (known.empty()) {
    throw Error(
        fmt::format("recall '{}' is asked for evaluation {}, before which nothing it looks "
                    "back on was computed",
                    recall.name(), now.evaluation));
  }
  auto weights = recall.weights(unit, known, now);
  if (weights.size() != known.size()) {
    throw Error(fmt::format("recall '{}' has {} weights for {} known values", recall.name(),
                            weights.size(), known.size()));
  }
  return weights;
}

void check_for_ranges(const Recall& recall) {
  constexpr int no_unit = -1;
  constexpr Moment first{};
  (void)checked_weights(recall, no_unit, std::span(&first, 1), {1, 0});
}

std::shared_ptr<const Recall> parse_recall(const std::string& text) {
  if (text == "latest") return std::make_shared<Latest>();
  const auto colon = text.find(':');
  if (colon == std::string::npos) refuse(text);
  const std::string_view kind = std::string_view(text).substr(0, colon);
  const std::string_view digits = std::string_view(text).substr(colon + 1);
  if (kind == "taylor") return std::make_shared<Taylor>(order_of(text, digits));
  if (kind == "chebyshev") return std::make_shared<Chebyshev>(order_of(text, digits));
  if (kind == "fitted") return parse_fitted(std::string(digits));
  refuse(text);
}

}  // namespace l2c
