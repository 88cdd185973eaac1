// How the program, not the library, wants its memory from the C library.
#pragma once

namespace l2c::cli {

// Freed memory stays with the process: the next step asks for the same sizes, and getting them from
// the system again costs page faults (a tenth of a training step). Call before the first large
// allocation. Sizes that the user chose with glibc's MALLOC_ variables hold.
void keep_freed_memory();

}  // namespace l2c::cli
