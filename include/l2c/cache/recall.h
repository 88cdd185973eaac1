// What a reused branch gives: the value stored last, or a forecast from several stored ones. No
// LibTorch header behind it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace l2c {

struct RunShape;

// Where on its way a run computed a value, or needs one.
struct Moment {
  int evaluation = 0;  // 0-based position in the run
  double time = 0;     // the model's timestep, in [0, 1000)
};

// A linear combination of values that were computed before. Immutable: any number of runs, on any
// thread, may use one.
class Recall {
 public:
  virtual ~Recall() = default;
  // Short, for tables: "taylor:1", "fitted:mine@2".
  [[nodiscard]] virtual std::string name() const = 0;
  // What it does, wherever files lie: for what is kept of runs and compared.
  [[nodiscard]] virtual std::string identity() const { return name(); }
  // How many computed values it looks back on at most, >= 1.
  [[nodiscard]] virtual int depth() const = 0;
  // Throws InputError when it does not fit the run (made for another model, another number of
  // steps).
  virtual void check(const RunShape& /*shape*/) const {}
  // The weights with which the unit's values (-1: what a range of blocks adds) that were computed
  // at `known` (latest first, 1 ... depth() of them) add up to an estimate of its value at `now`,
  // one each.
  [[nodiscard]] virtual std::vector<double> weights(int unit, std::span<const Moment> known,
                                                    const Moment& now) const = 0;
};

// The value computed last, as it is: what the published caches do.
class Latest final : public Recall {
 public:
  [[nodiscard]] std::string name() const override { return "latest"; }
  [[nodiscard]] int depth() const override { return 1; }
  [[nodiscard]] std::vector<double> weights(int unit, std::span<const Moment> known,
                                            const Moment& now) const override;
};

// TaylorSeer (arXiv 2503.06923; official code: TaylorSeer-DiT/taylor_utils): derivatives are finite
// differences of finite differences, each over the distance of the two latest computed evaluations
// *at that time*, and the estimate is their Taylor series at the distance in evaluations. As long
// as fewer than order + 1 values are known, the order is what they allow.
class Taylor final : public Recall {
 public:
  // Throws InputError unless order is 1 ... 8.
  explicit Taylor(int order);
  [[nodiscard]] std::string name() const override;
  [[nodiscard]] int depth() const override { return order_ + 1; }
  [[nodiscard]] std::vector<double> weights(int unit, std::span<const Moment> known,
                                            const Moment& now) const override;

 private:
  int order_;
};

// The barycentric formula with the weights of Chebyshev points of the second kind, 1/2, -1, 1, ...,
// 1/2 (Berrut and Trefethen, "Barycentric Lagrange Interpolation", 2004, section 5), on the
// evaluations where values are known: ChebBooster's idea. With two and three evenly spaced values
// it is the straight line and the parabola through them. Other spacings may put a pole near the
// wanted evaluation: the oldest values are left out until there is none.
class Chebyshev final : public Recall {
 public:
  // Throws InputError unless order is 1 ... 8.
  explicit Chebyshev(int order);
  [[nodiscard]] std::string name() const override;
  [[nodiscard]] int depth() const override { return order_ + 1; }
  [[nodiscard]] std::vector<double> weights(int unit, std::span<const Moment> known,
                                            const Moment& now) const override;

 private:
  int order_;
};

// recall.weights(), for whoever adds up values: throws Error unless there is a value known and a
// weight for each.
std::vector<double> checked_weights(const Recall& recall, int unit, std::span<const Moment> known,
                                    const Moment& now);

// Throws InputError for a recall that does not know what ranges of blocks add (FittedRecall).
void check_for_ranges(const Recall& recall);

// "latest", "taylor:ORDER", "chebyshev:ORDER", "fitted:FILE" or "fitted:FILE@DEPTH" (2 unless
// given, fitted_recall.h). Throws InputError for anything else, and what FittedRecall::load throws.
std::shared_ptr<const Recall> parse_recall(const std::string& text);

}  // namespace l2c
