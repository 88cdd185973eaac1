// Routers that say only which evaluations compute everything. No LibTorch header behind it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "l2c/cache/router.h"

namespace l2c {

class Denoiser;

struct PlacementOptions {
  // Official spacing string, and a DDIM run (eta 0): what the router is for.
  std::string spacing = "20";
  // How many evaluations compute everything: either the number, 1 ... steps, or what they must give
  // together: as many as keep the ideal speed-up (pricing.h) above 0.98 times the target.
  std::optional<int> full_steps;
  std::optional<double> target_speedup;
  // What the others give: parse_recall()'s text. The router keeps it.
  std::string recall = "chebyshev:2";
  double guidance = 1;  // of the runs: classifier-free guidance scale; 1: off
  int images = 16;      // that placements are tried on; classes drawn at random
  std::uint64_t seed = 0;
  // A JSON file that keeps what each placement came to: a search that was stopped goes on from it,
  // and one for another number of full steps starts from it. Searches of other models and options
  // may share it. Empty: none.
  std::filesystem::path record;
};

struct PlacedRouter {
  Router router;  // group 0, threshold 0.5
  std::vector<int> full_steps;
  double local_error = 0;  // CacheDeviation (step_placement.h)
  double drift = 0;
  double ideal_speedup = 1;
  int tried = 0;  // runs that the search took
};

// Free placement: an early evaluation may go unrecomputed for long, a late one not, and how long
// depends on the model and the forecast. The search is place_full_steps() (step_placement.h); it
// needs no images and takes minutes where training takes hours. Rows of full steps get the logit 4,
// all others -4: with train-router's --initial-router and group 0 they may be trained further.
// `progress` is called after each of the search's runs with their number and the smallest error
// yet. Throws InputError: neither or both of full_steps and target_speedup, a value out of range, a
// target that even one full step does not reach, guidance of a model without a null label, a file
// in the record's place that is none; Cancelled (the record stays); RunError (out of memory, the
// record cannot be written). Deterministic on one machine and number of threads.
PlacedRouter place_router(const std::shared_ptr<const Denoiser>& model,
                          const PlacementOptions& options,
                          const std::function<void(int tried, double best)>& progress = {},
                          const std::stop_token& stop = {});

}  // namespace l2c
