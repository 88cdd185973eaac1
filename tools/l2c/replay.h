// Making a picture again from the settings that it carries. They may come from anybody: no file is
// opened because of them.
#pragma once

#include <CLI/App.hpp>

#include "l2c/sampling/image_settings.h"
#include "sample_options.h"

namespace l2c::cli {

// The settings of the picture of --from. Throws InputError when it carries none.
ImageSettings read_settings(const SampleOptions& options);

// Takes over what no option of the command line says.
void take_settings(SampleOptions& options, const CLI::App& command, const ImageSettings& settings);

// Throw InputError when what is given is not what the picture was made with; other reuse than the
// picture's, but not another router, may be asked for.
void check_cache(const ImageSettings& settings, const SampleOptions& options,
                 const CLI::App& command, const Cache& cache);
void check_model(const ImageSettings& settings, const Pipeline& pipeline);
void check_noise(const ImageSettings& settings, const Request& request);

// Says what is not as it was, but for the request.
void note_differences(const ImageSettings& settings, const ImageSettings& now);

}  // namespace l2c::cli
