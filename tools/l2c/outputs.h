// The files that a command will write, checked before the work.
#pragma once

#include <string>
#include <vector>

#include "arguments.h"

namespace l2c::cli {

// Whatever could be the path of a file in "router:F@0.1", "every:3+fitted:F@2" or "F:tensor" is put
// behind `paths`.
void add_paths_in(const std::string& text, std::vector<std::string>& paths);

// What is read for a pipeline and for reuse, as check_outputs() takes it.
std::vector<std::string> inputs_of(const PipelineOptions& pipeline, const CacheOptions& cache = {});

// Throws InputError when two outputs are one file, however their paths are written, when an output
// would replace one of the inputs (files, or folders of a Diffusers model: then the files that make
// it up), or when one cannot be written. Empty: not asked for, or not given.
void check_outputs(const std::vector<std::string>& outputs,
                   const std::vector<std::string>& inputs = {});

}  // namespace l2c::cli
