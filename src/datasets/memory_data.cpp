#include "memory_data.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "check_numbers.h"
#include "l2c/core/error.h"
#include "l2c/core/hash.h"

namespace l2c {

namespace {

constexpr double kLargestPixel = 1.001;  // room for rounding in half precision
constexpr std::int64_t kChunk = 1024;    // examples that are checked at once
constexpr std::int64_t kMostClasses = 1 << 20;

[[noreturn]] void fail(const MemorySource& source, const std::string& what) {
  throw InputError(fmt::format("{} cannot be used as a data set: {}", source.name, what));
}

bool is_value_type(at::ScalarType type) {
  return type == at::kByte || type == at::kFloat || type == at::kDouble || type == at::kHalf ||
         type == at::kBFloat16;
}

void check_x(const MemorySource& source) {
  const at::Tensor& x = source.x;
  if (!x.defined() || x.dim() != 4) {
    fail(source, fmt::format("its images have the shape [{}], [N, C, S, S] is expected",
                             x.defined() ? fmt::format("{}", fmt::join(x.sizes(), ", ")) : ""));
  }
  if (!is_value_type(x.scalar_type())) {
    fail(source, fmt::format("its images are of dtype {}; convert them to uint8 (pixels of 0 ... "
                             "255) or to a floating type",
                             at::toString(x.scalar_type())));
  }
  if (x.size(2) != x.size(3)) {
    fail(source,
         fmt::format("its images are {} x {}; crop or pad them to squares", x.size(2), x.size(3)));
  }
  if (x.numel() == 0) {
    fail(source,
         fmt::format("it is empty: its images have the shape [{}]", fmt::join(x.sizes(), ", ")));
  }
}

// Reads all floating values once: a training must not find them out.
void check_values(const MemorySource& source) {
  if (source.x.scalar_type() == at::kByte) return;
  for (std::int64_t first = 0; first < source.x.size(0); first += kChunk) {
    const at::Tensor part = source.x.slice(0, first, first + kChunk);
    const auto bad = [&](const at::Tensor& good) {
      return first +
             good.flatten(1).all(1).logical_not().to(at::kByte).argmax().item<std::int64_t>();
    };
    const at::Tensor finite = part.isfinite();
    if (!finite.all().item<bool>()) {
      fail(source, fmt::format("example {} holds a value that is not finite", bad(finite)));
    }
    if (!source.pixels) continue;
    const at::Tensor inside = part.abs() <= kLargestPixel;
    if (!inside.all().item<bool>()) {
      fail(source,
           fmt::format("example {} holds a pixel outside -1 ... 1; scale floating images to "
                       "that range, or store uint8",
                       bad(inside)));
    }
  }
}

at::Tensor checked_labels(const MemorySource& source) {
  const at::Tensor& y = source.y;
  if (!y.defined() || !at::isIntegralType(y.scalar_type(), /*includeBool=*/false) || y.dim() != 1) {
    fail(source, fmt::format("its labels are {}; integers of shape [N] are expected",
                             y.defined() ? fmt::format("of dtype {} and shape [{}]",
                                                       at::toString(y.scalar_type()),
                                                       fmt::join(y.sizes(), ", "))
                                         : "missing"));
  }
  if (y.size(0) != source.x.size(0)) {
    fail(source, fmt::format("it has {} images, but {} labels", source.x.size(0), y.size(0)));
  }
  return y.to(at::kLong).contiguous();
}

int checked_classes(const MemorySource& source, const at::Tensor& y) {
  const auto smallest = y.min().item<std::int64_t>();
  const auto largest = y.max().item<std::int64_t>();
  const std::int64_t most = source.num_classes > 0 ? source.num_classes : kMostClasses;
  if (smallest < 0 || largest >= most) {
    fail(source, fmt::format("it has the label {}, labels of 0 ... {} are expected",
                             smallest < 0 ? smallest : largest, most - 1));
  }
  return source.num_classes > 0 ? source.num_classes : static_cast<int>(largest + 1);
}

std::string content_fingerprint(const at::Tensor& x, const at::Tensor& y, int num_classes) {
  Hash hash;
  hash.text(at::toString(x.scalar_type()));
  for (const auto size : x.sizes()) hash.number(size);
  // In parts, as x may be a view in another order (a mapped .npz file), which is never copied
  // whole.
  for (std::int64_t first = 0; first < x.size(0); first += kChunk) {
    const at::Tensor part = x.slice(0, first, first + kChunk).contiguous();
    hash.bytes(part.const_data_ptr(), part.nbytes());
  }
  hash.bytes(y.const_data_ptr(), y.nbytes());
  hash.number(num_classes);
  return hash.hex();
}

class MemoryData : public DataSet {
 public:
  MemoryData(at::Tensor x, at::Tensor y, DataInfo info)
      : x_(std::move(x)), y_(std::move(y)), info_(std::move(info)) {}

  const DataInfo& info() const override { return info_; }

  DataBatch batch(c10::ArrayRef<std::int64_t> numbers) const override {
    check_numbers(numbers, info_);
    const at::NoGradGuard no_grad;
    // Read only, and only during this call.
    const at::Tensor index = at::from_blob(const_cast<std::int64_t*>(numbers.data()),
                                           {static_cast<std::int64_t>(numbers.size())}, at::kLong);
    at::Tensor x = x_.index_select(0, index).contiguous();
    const bool pixels = x.scalar_type() == at::kByte;
    x = x.to(at::kFloat);
    if (pixels) x.div_(127.5F).sub_(1.0F);
    return {.x = x, .y = y_.index_select(0, index)};
  }

 private:
  at::Tensor x_;
  at::Tensor y_;
  DataInfo info_;
};

}  // namespace

std::shared_ptr<const DataSet> memory_data(const MemorySource& source) {
  const at::NoGradGuard no_grad;
  check_x(source);
  check_values(source);
  const at::Tensor x = source.x.detach();
  const at::Tensor y = checked_labels(source);
  const int num_classes = checked_classes(source, y);
  constexpr std::int64_t most = std::numeric_limits<int>::max();
  if (std::max(x.size(1), x.size(2)) > most) fail(source, "its images are too large");
  DataInfo info{.description = source.description,
                .fingerprint = content_fingerprint(x, y, num_classes),
                .size = x.size(0),
                .channels = static_cast<int>(x.size(1)),
                .image_size = static_cast<int>(x.size(2)),
                .num_classes = num_classes,
                .class_names = {}};
  return std::make_shared<MemoryData>(x, y, std::move(info));
}

std::shared_ptr<const DataSet> tensor_data(const at::Tensor& x, const at::Tensor& y,
                                           int num_classes, std::string description) {
  MemorySource source{.name = fmt::format("'{}'", description),
                      .description = std::move(description),
                      .x = {},
                      .y = {},
                      .num_classes = num_classes};
  if (num_classes < 1) fail(source, fmt::format("{} classes; at least 1 is needed", num_classes));
  // Copies: what the caller does to his tensors afterwards changes nothing here.
  const auto copied = [](const at::Tensor& tensor) {
    return tensor.defined() ? tensor.detach().to(at::kCPU, tensor.scalar_type(), false, true)
                            : tensor;
  };
  source.x = copied(x);
  source.y = copied(y);
  return memory_data(source);
}

}  // namespace l2c
