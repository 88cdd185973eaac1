#include "l2c/training/random.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "l2c/core/error.h"
#include "l2c/diffusion/noise.h"

namespace l2c {

namespace {

// A bijection of 64 bits that spreads every input bit over the output: the finaliser of
// splitmix64 (Steele et al., "Fast splittable pseudorandom number generators", 2014).
std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27U)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31U);
}

// 64 random bits for each position of a draw.
class Bits {
 public:
  Bits(std::uint64_t key, std::int64_t number)
      : key_{static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32U)},
        number_(static_cast<std::uint64_t>(number)) {
    if (number < 0) throw Error("a random draw's number must be at least 0");
  }
  std::uint64_t next() {
    if (left_ == 0) {
      block_ = philox4x32(
          {static_cast<std::uint32_t>(counter_), static_cast<std::uint32_t>(counter_ >> 32U),
           static_cast<std::uint32_t>(number_), static_cast<std::uint32_t>(number_ >> 32U)},
          key_);
      ++counter_;
      left_ = 2;
    }
    --left_;
    const std::size_t at = left_ == 1 ? 0 : 2;
    return (std::uint64_t{block_[at + 1]} << 32U) | block_[at];
  }
  // In [0, below) without bias: the largest multiple of `below` is the limit.
  std::int64_t below(std::int64_t below) {
    const auto count = static_cast<std::uint64_t>(below);
    const std::uint64_t rest = (UINT64_MAX % count + 1) % count;
    std::uint64_t value = next();
    while (value > UINT64_MAX - rest) value = next();
    return static_cast<std::int64_t>(value % count);
  }

 private:
  std::array<std::uint32_t, 2> key_;
  std::uint64_t number_;
  std::uint64_t counter_ = 0;
  std::array<std::uint32_t, 4> block_{};
  int left_ = 0;
};

}  // namespace

std::uint64_t TrainingRandom::key(DrawFor purpose) const {
  return mix(mix(seed_) ^ (std::uint64_t{static_cast<std::uint32_t>(purpose)} + 1));
}

at::Tensor TrainingRandom::normal(DrawFor purpose, std::int64_t number,
                                  at::IntArrayRef shape) const {
  return philox_normal(key(purpose), number, 0, shape);
}

std::vector<double> TrainingRandom::uniform(DrawFor purpose, std::int64_t number,
                                            std::int64_t count) const {
  Bits bits(key(purpose), number);
  std::vector<double> values(static_cast<std::size_t>(count));
  constexpr double unit = 1.0 / (1LL << 53);
  for (double& value : values) value = static_cast<double>(bits.next() >> 11U) * unit;
  return values;
}

std::vector<std::int64_t> TrainingRandom::integers(DrawFor purpose, std::int64_t number,
                                                   std::int64_t count, std::int64_t below) const {
  if (below < 1) throw Error("random integers need a range of at least one value");
  Bits bits(key(purpose), number);
  std::vector<std::int64_t> values(static_cast<std::size_t>(count));
  for (auto& value : values) value = bits.below(below);
  return values;
}

std::vector<std::int64_t> TrainingRandom::permutation(DrawFor purpose, std::int64_t number,
                                                      std::int64_t count) const {
  Bits bits(key(purpose), number);
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  for (std::int64_t i = count - 1; i > 0; --i) {  // Fisher and Yates
    std::swap(order[static_cast<std::size_t>(i)],
              order[static_cast<std::size_t>(bits.below(i + 1))]);
  }
  return order;
}

DataOrder::DataOrder(TrainingRandom random, std::int64_t size, std::int64_t batch_size)
    : random_(random), size_(size), batch_size_(batch_size) {
  if (size < 1) throw InputError("the data set is empty: nothing to train on");
  if (batch_size < 1) throw InputError("the batch size must be at least 1");
}

std::vector<std::int64_t> DataOrder::batch(std::int64_t step) {
  const std::int64_t batches = std::max<std::int64_t>(size_ / batch_size_, 1);
  const std::int64_t epoch = step / batches;
  if (epoch != epoch_) {
    order_ = random_.permutation(DrawFor::data_order, epoch, size_);
    epoch_ = epoch;
  }
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(batch_size_));
  const std::int64_t first = (step % batches) * batch_size_;
  for (std::int64_t i = 0; i < batch_size_; ++i) {
    numbers[static_cast<std::size_t>(i)] = order_[static_cast<std::size_t>((first + i) % size_)];
  }
  return numbers;
}

}  // namespace l2c
