// Going through what torch.save kept.
#pragma once

#include "l2c/io/torch_checkpoint.h"
#include "targets.h"

namespace l2c::fuzz {

// Reads a file of torch.save in both ways that the program does: the saved object with all that is
// in it, and as a checkpoint.
void torch_file(Bytes bytes);

}  // namespace l2c::fuzz
