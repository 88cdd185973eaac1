#include "range_run.h"

namespace l2c {

std::vector<std::int64_t> DecidingState::run_or_reuse(Trunk& trunk, int first,
                                                      const std::vector<char>& reuses,
                                                      const Moment& now) {
  ops::ResidualStream& stream = trunk.stream();
  auto computed = images.rows_where(reuses, false);
  const at::Tensor input = computed.empty() ? at::Tensor() : stream.tokens();
  trunk.run(first, trunk.blocks(), computed);
  if (!computed.empty()) residual.keep(computed, input, stream.tokens(), now);
  residual.add_to(stream, images.rows_where(reuses, true), now);
  return computed;
}

}  // namespace l2c
