// Routers, of all three formats.
#include "l2c/cache/router.h"

#include "reading.h"

namespace l2c::fuzz {

namespace {

void ask(const Router& router) {
  require(router.rows() > 0 && router.units() > 0, "a router without logits");
  for (int row = 0; row < router.rows(); ++row) {
    for (int unit = 0; unit < router.units(); ++unit) {
      const float score = router.score(row, unit);
      require(score >= 0 && score <= 1, "a score outside [0, 1]");
    }
  }
  const double threshold = router.recommended_threshold();
  require(threshold >= 0 && threshold <= 1, "a threshold outside [0, 1]");
  require(router.fingerprint().size() == 32, "no fingerprint");
}

}  // namespace

void router(Bytes bytes) {
  const auto& path = file_of(bytes);
  bool meant = false;
  accepted(path.native(), [&] { meant = Router::recognises(path); });
  const bool loaded = accepted(path.native(), [&] { ask(Router::load(path)); });
  require(meant || !loaded, "a router is loaded from a file that is not recognised as one");
}

}  // namespace l2c::fuzz
