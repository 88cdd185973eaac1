#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cstddef>
#include <utility>

#include "l2c/cache/fitted_recall.h"
#include "l2c/core/error.h"
#include "l2c/core/hash.h"
#include "l2c/io/safetensors.h"

namespace l2c {

namespace {

constexpr const char* format_name = "l2c-branch-products";

// Of the mean square of the outputs.
constexpr double ridge = 1e-4;

}  // namespace

BranchProducts::BranchProducts(int evaluations, int units, BranchProductsInfo info)
    : evaluations_(evaluations), units_(units), info_(std::move(info)) {
  if (evaluations < 1 || units < 1) {
    throw InputError(fmt::format("products of {} evaluations of {} units cannot be measured",
                                 evaluations, units));
  }
  const auto all = static_cast<std::size_t>(evaluations);
  products_.resize(static_cast<std::size_t>(units) * all * all);
}

BranchProducts BranchProducts::load(const std::filesystem::path& file) {
  const auto stored = io::SafetensorsFile::open(file);
  if (io::metadata_value(stored.metadata(), "format") != format_name ||
      !stored.contains("products")) {
    throw InputError(fmt::format(
        "'{}' holds no branch products: make them with l2c calibrate --fit", file.string()));
  }
  const at::Tensor products = stored.tensor("products");
  if (products.scalar_type() != at::kDouble || products.dim() != 3 ||
      products.size(1) != products.size(2) || products.numel() == 0) {
    throw InputError(fmt::format(
        "'{}': the tensor 'products' is not F64 [units, evaluations, evaluations]", file.string()));
  }
  BranchProducts read(static_cast<int>(products.size(1)), static_cast<int>(products.size(0)),
                      {io::metadata_value(stored.metadata(), "model_fingerprint"),
                       io::metadata_value(stored.metadata(), "spacing"),
                       io::metadata_value(stored.metadata(), "sampler")});
  const auto* const data = products.const_data_ptr<double>();
  read.products_.assign(data, data + products.numel());
  return read;
}

void BranchProducts::save(const std::filesystem::path& file) const {
  auto products = at::empty({units_, evaluations_, evaluations_}, at::kDouble);
  std::copy(products_.begin(), products_.end(), products.mutable_data_ptr<double>());
  io::write_safetensors(file, {{"products", products}},
                        {{"format", format_name},
                         {"model_fingerprint", info_.model_fingerprint},
                         {"spacing", info_.spacing},
                         {"sampler", info_.sampler}});
}

std::string BranchProducts::fingerprint() const {
  Hash hash;
  hash.number(evaluations_);
  hash.number(units_);
  hash.bytes(products_.data(), products_.size() * sizeof(double));
  return hash.hex();
}

std::size_t BranchProducts::at(int unit, int a, int b) const {
  if (unit < 0 || unit >= units_ || a < 0 || a >= evaluations_ || b < 0 || b >= evaluations_) {
    throw Error(
        fmt::format("no product of evaluations {} and {} of unit {} is kept: there are {} "
                    "evaluations of {} units",
                    a, b, unit, evaluations_, units_));
  }
  const auto all = static_cast<std::size_t>(evaluations_);
  return (static_cast<std::size_t>(unit) * all + static_cast<std::size_t>(a)) * all +
         static_cast<std::size_t>(b);
}

double BranchProducts::product(int unit, int a, int b) const { return products_[at(unit, a, b)]; }

void BranchProducts::add(int unit, const std::vector<double>& products) {
  const auto all = static_cast<std::size_t>(evaluations_);
  if (unit < 0 || unit >= units_ || products.size() != all * all) {
    throw Error(fmt::format("{} products of unit {} do not belong to {} evaluations of {} units",
                            products.size(), unit, evaluations_, units_));
  }
  const std::size_t first = at(unit, 0, 0);
  for (std::size_t i = 0; i < products.size(); ++i) products_[first + i] += products[i];
}

std::vector<double> BranchProducts::fit(int unit, const std::vector<int>& known, int wanted) const {
  const auto count = static_cast<Eigen::Index>(known.size());
  Eigen::MatrixXd products(count, count);
  Eigen::VectorXd with_wanted(count);
  for (Eigen::Index i = 0; i < count; ++i) {
    const int a = known[static_cast<std::size_t>(i)];
    for (Eigen::Index j = 0; j < count; ++j) {
      products(i, j) = product(unit, a, known[static_cast<std::size_t>(j)]);
    }
    with_wanted(i) = product(unit, a, wanted);
  }
  const double mean = products.trace() / static_cast<double>(count);
  if (!(mean > 0)) return std::vector<double>(known.size(), 0.0);
  products.diagonal().array() += ridge * mean;
  const Eigen::VectorXd weights = products.ldlt().solve(with_wanted);
  return {weights.data(), weights.data() + count};
}

}  // namespace l2c
