// The files that a command will write, checked before the work.
#pragma once

#include <string>
#include <vector>

namespace l2c::cli {

// Throws InputError when two outputs are one file, however their paths are written, when an output
// would replace one of the inputs (files, or folders of a model: then any of its files but
// pictures), or when one cannot be written. Empty: not asked for, or not given.
void check_outputs(const std::vector<std::string>& outputs,
                   const std::vector<std::string>& inputs = {});

}  // namespace l2c::cli
