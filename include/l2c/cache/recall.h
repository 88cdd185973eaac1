// How a stored value stands for one that is not computed. No LibTorch header behind it.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace l2c {

// When a value was computed.
struct Moment {
  int evaluation = 0;  // index in the run
  double time = 0;     // the model's timestep
};

// Immutable and shareable between threads.
class Recall {
 public:
  virtual ~Recall() = default;
  [[nodiscard]] virtual std::string name() const = 0;
  // How many computed values it looks back on at most, >= 1.
  [[nodiscard]] virtual int depth() const = 0;
  // Weights of the values computed at `known` (latest first, 1 ... depth() of them) whose sum
  // estimates the value at `now`.
  [[nodiscard]] virtual std::vector<double> weights(std::span<const Moment> known,
                                                    const Moment& now) const = 0;
};

// The value computed last.
class Latest final : public Recall {
 public:
  [[nodiscard]] std::string name() const override { return "latest"; }
  [[nodiscard]] int depth() const override { return 1; }
  [[nodiscard]] std::vector<double> weights(std::span<const Moment> known,
                                            const Moment& now) const override;
};

}  // namespace l2c
