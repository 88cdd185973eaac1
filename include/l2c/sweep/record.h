// What a sweep found: plain numbers and texts, enough to make its files from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "l2c/cache/plan.h"
#include "l2c/evaluation/evaluator.h"

namespace l2c {

// One point on one set of seeds.
struct SweepNumbers {
  std::vector<double> frechet_by_seed{};  // in the order of the seeds
  Spread frechet{};
  // Means are NaN where they were not measured, see Quality.
  Spread kid{}, precision{}, recall{}, inception_score{}, accuracy{};
  // Percent of Frechet distance above computing everything from the same seed, over the seeds;
  // negative: below.
  Spread above_full{};
  double seconds_per_image = 0;  // of denoising; median over the rounds of timing
  Quartiles seconds_quartiles{};
  // Against computing everything in all steps, timed in turn: the median over the rounds of one
  // time by the other, above 0. Whatever is compared by time is compared by this.
  double speedup = 1;
  Quartiles speedup_quartiles{.low = 1, .high = 1};
};

struct SweepPoint {
  std::string policy{};       // PolicySpec::text
  std::string name{};         // PolicySpec::name
  std::string family{};       // family_of()
  std::string identity{};     // PolicySpec::identity
  int steps = 0;              // denoising steps
  double ideal_speedup = 1;   // as PolicyResult's
  double computed_share = 1;  // as PolicyResult's: 0 ... 1
  double flops = 0;           // an image, two for each multiply-accumulate, guidance passes counted
  std::int64_t cache_bytes = 0;  // peak of stored tensors for one image
  std::string use{};             // the command that samples with it; may be empty
  std::string reproduce{};       // the command that measures result() again; may be empty
  SweepNumbers choosing{};
  std::optional<SweepNumbers> reporting{};  // of computing everything, the front, and what is
                                            // recommended
  bool on_front = false;                    // by the choosing seeds
  std::optional<CachePlan> plan{};          // none: it decides as it goes
  std::string images{};                     // a PNG in base64; empty: none shown

  // What to show as its result.
  [[nodiscard]] const SweepNumbers& result() const { return reporting ? *reporting : choosing; }
};

// What somebody is willing to pay, or wants to have.
struct SweepBudget {
  enum class Kind {
    quality,  // at most `value` percent of Frechet distance above computing everything
    speedup,  // measured, at least `value`
  };
  Kind kind = Kind::quality;
  double value = 0;
};

struct SweepRecommendation {
  SweepBudget budget{};
  std::optional<std::size_t> point{};  // of SweepRecord::points; none: nothing faster than
                                       // computing everything meets it
  std::string reason{};                // then: what comes closest
};

// Names and texts, in the order in which they are shown.
using SweepFacts = std::vector<std::pair<std::string, std::string>>;

struct SweepRecord {
  std::string command{};    // how it was made; may be empty
  std::string model{};      // for headings
  std::int64_t images = 0;  // a point and seed
  std::vector<std::uint64_t> choosing_seeds{}, reporting_seeds{};
  SweepFacts settings{}, machine{}, fingerprints{};
  int images_shown = 0;              // in each point's picture
  std::vector<SweepPoint> points{};  // computing everything first
  std::vector<SweepRecommendation> recommendations{};

  // Of points.at(number), so that all points can stand on one axis: the time of computing
  // everything by the point's speed-up, for a machine may be slower in the second timing than in
  // the first. Of computing everything itself: its time.
  [[nodiscard]] double comparable_seconds(std::size_t number) const;
  // The same for the Frechet distance, which differs between sets of seeds: as measured on the
  // reporting seeds, or, of a point that was not, that of computing everything on those, with the
  // point's percentage above it.
  [[nodiscard]] double comparable_frechet(std::size_t number) const;
};

}  // namespace l2c
