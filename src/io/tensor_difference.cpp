#include "l2c/io/tensor_difference.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <set>
#include <tuple>
#include <utility>

#include "l2c/core/error.h"

namespace l2c::io {

namespace {

constexpr std::int64_t kPiece = std::int64_t{1} << 18;  // numbers that are compared at a time

// One axis, real numbers.
at::Tensor flat(const at::Tensor& tensor) {
  const at::Tensor dense = tensor.detach().cpu().contiguous().view({-1});
  return dense.is_complex() ? at::view_as_real(dense).view({-1}) : dense;
}

double largest_of(const at::Tensor& values) {
  return values.numel() > 0 ? values.max().item<double>() : 0;
}

// Adds a piece's differences to `sum`; returns the largest finite magnitude.
double add(TensorDifference& sum, const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor a_finite = a.isfinite();
  const at::Tensor b_finite = b.isfinite();
  const at::Tensor both = a_finite.logical_and(b_finite);
  const at::Tensor unlike = a.ne(b).logical_and(a.isnan().logical_and(b.isnan()).logical_not());
  const auto differing = unlike.sum().item<std::int64_t>();
  sum.differing += differing;
  if (differing > 0) {
    sum.not_finite += unlike.logical_and(both.logical_not()).sum().item<std::int64_t>();
    sum.largest = std::max(sum.largest, largest_of(a.sub(b).abs().masked_fill(~both, 0)));
  }
  return std::max(largest_of(a.abs().masked_fill(~a_finite, 0)),
                  largest_of(b.abs().masked_fill(~b_finite, 0)));
}

bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor left = a.detach().cpu().contiguous();
  const at::Tensor right = b.detach().cpu().contiguous();
  return std::memcmp(left.const_data_ptr(), right.const_data_ptr(), left.nbytes()) == 0;
}

TensorComparison compare(const std::string& name, const at::Tensor& a, const at::Tensor& b) {
  using State = TensorComparison::State;
  TensorComparison result{.name = name, .a = a, .b = b};
  if (!a.defined() || !b.defined()) {
    result.state = a.defined() ? State::first : State::second;
  } else if (a.sizes() != b.sizes()) {
    result.state = State::shape;
  } else {
    const bool one_type = a.scalar_type() == b.scalar_type();
    result.state = !one_type ? State::type : same_bits(a, b) ? State::same : State::values;
    if (result.state == State::same) {
      result.difference = TensorDifference();
    } else if (a.is_complex() == b.is_complex()) {
      result.difference = io::difference(a, b);
    }
  }
  return result;
}

// Small first.
auto rank(const TensorComparison& comparison) {
  using State = TensorComparison::State;
  const auto kind = [](State state) {
    switch (state) {
      case State::first:
        return 0;
      case State::second:
        return 1;
      case State::shape:
        return 2;
      case State::type:
        return 3;
      case State::values:
        return 4;
      case State::same:
        break;
    }
    return 5;
  };
  double size = 0;
  if (const auto& difference = comparison.difference) {
    size =
        difference->not_finite > 0 ? std::numeric_limits<double>::infinity() : difference->largest;
  }
  return std::tuple<int, double, const std::string&>(kind(comparison.state), -size,
                                                     comparison.name);
}

}  // namespace

TensorDifference difference(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) throw Error("the difference of tensors of unlike shapes");
  const at::NoGradGuard no_grad;
  const at::Tensor left = flat(a);
  const at::Tensor right = flat(b);
  if (left.numel() != right.numel()) throw Error("the difference of a complex and a real tensor");
  TensorDifference result;
  double largest = 0;
  for (std::int64_t first = 0; first < left.numel(); first += kPiece) {
    const std::int64_t count = std::min(kPiece, left.numel() - first);
    const auto piece = [&](const at::Tensor& of) {
      return of.narrow(0, first, count).to(at::kDouble);
    };
    largest = std::max(largest, add(result, piece(left), piece(right)));
  }
  if (result.largest > 0) result.relative = result.largest / largest;
  return result;
}

std::vector<TensorComparison> compare_tensors(const TensorMap& a, const TensorMap& b) {
  std::set<std::string> names;
  for (const auto& [name, tensor] : a) names.insert(name);
  for (const auto& [name, tensor] : b) names.insert(name);
  const auto find = [](const TensorMap& tensors, const std::string& name) {
    const auto found = tensors.find(name);
    return found == tensors.end() ? at::Tensor() : found->second;
  };
  std::vector<TensorComparison> all;
  for (const auto& name : names) all.push_back(compare(name, find(a, name), find(b, name)));
  std::ranges::sort(all, [](const auto& x, const auto& y) { return rank(x) < rank(y); });
  return all;
}

}  // namespace l2c::io
