// The threads behind the CPU kernels: one pool a process, which all runs share.
#pragma once

#include <cstdint>

#include "l2c/core/torch.h"

namespace l2c::ops::cpu {

// work(first, last, participant) on pieces of [0, n), participant < most_participants(), each at a
// time in one thread.
using Work = c10::function_ref<void(std::int64_t first, std::int64_t last, int participant)>;

// Does all the work before it returns, in the calling thread and in threads of the pool: no more
// than set_threads() allows the process, those of other callers counted. Pieces are of `grain` or
// more (below 1 counts as 1). What work throws reaches the caller, once nobody works any more.
// Called from within work, it stays in its thread, and so it does where the system gives no more
// threads. Any number of threads may call it.
void parallel_for(std::int64_t n, std::int64_t grain, Work work);

// Of a call that begins now.
int most_participants();

}  // namespace l2c::ops::cpu
