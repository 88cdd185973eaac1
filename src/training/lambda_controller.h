// Choosing lambda so that a router in training ends at a wanted speed-up.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace l2c {

// What the speed-up of a thresholded router follows from.
struct RouterPrice {
  std::vector<double> unit_macs;  // of one evaluation, by unit
  double full_macs = 0;           // of the whole run, everything computed
  int cache_steps = 0;

  // Ideal speed-up when MACs worth `saved` are reused.
  [[nodiscard]] double speedup(double saved) const { return full_macs / (full_macs - saved); }
  [[nodiscard]] double largest() const;
};

// Works on log lambda, in two parts. The forecast: from the gradients it keeps, for each branch of
// each cache step, the lambda at which the branch's weight would come down to the threshold, taking
// the error for quadratic in the weight; the quantile of these that gives the target is where
// lambda goes. Waiting for the weights instead would wind lambda up: they need hundreds of
// iterations to follow. The trim: what the router's real speed-up, carried on by its trend, then
// lacks is added up slowly, with a gain that is halved whenever the sign changes (Kesten,
// "Accelerated stochastic approximation", 1958). Deterministic. Not thread-safe.
class LambdaController {
 public:
  // An iteration trains `rows_at_once` of the price.cache_steps rows, each by at most
  // learning_rate.
  LambdaController(RouterPrice price, double target, double threshold, double learning_rate,
                   int rows_at_once = 1);

  // 0 until every row was observed a few times.
  [[nodiscard]] double lambda() const { return state_.lambda; }

  // The row trained in an iteration (cache step number 0 ... cache_steps - 1): its weights and the
  // gradient of the whole loss to its logits, each by unit.
  void observe(int cache_step, std::span<const double> weights, std::span<const double> gradient);

  // After each iteration; every interval() iterations lambda is set anew. `speedup` is the
  // router's.
  void control(std::int64_t iterations_done, double speedup);
  [[nodiscard]] bool due(std::int64_t iterations_done) const;

  // The speed-up has stayed within the tolerance, and lambda nearly the same, for as long as a
  // logit needs to move by 1.
  [[nodiscard]] bool settled() const;
  [[nodiscard]] bool within(double speedup) const;  // of the tolerance (2 %)

  // Everything as numbers, for checkpoints. restore() throws InputError for another count.
  [[nodiscard]] std::vector<double> save() const;
  void restore(std::span<const double> saved);

 private:
  [[nodiscard]] double forecast() const;
  [[nodiscard]] double saved_at(double lambda) const;
  void trim(double speedup);
  void watch(double speedup);

  struct State {
    double lambda = 0;
    double trim = 0;  // added to the forecast's logarithm
    double gain;
    double sign = 0;  // of the last lack
    double controls = 0;
    double settled_for = 0;  // controls within the tolerance on end
    double lowest = 0;       // lambda over these
    double highest = 0;
    double slow = 0;  // the speed-up's logarithm, averaged
  };

  RouterPrice price_;
  double target_;
  double threshold_;
  int interval_;  // iterations
  double pace_;   // of a control, in logits: how far one may have moved since the last
  State state_;
  std::vector<double> visits_;  // by cache step
  std::vector<double> prices_;  // cache_steps * units: lambda at which the branch turns off
};

}  // namespace l2c
