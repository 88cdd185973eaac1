// The files that l2c sample writes.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "l2c/sampling/image_settings.h"
#include "l2c/sampling/request.h"
#include "sample_options.h"

namespace l2c::cli {

// Sees to a default output. Throws InputError when one cannot be written, or would replace what is
// read. Makes nothing.
void prepare_outputs(SampleOptions& options);

// Makes the folder of single images, once the request is known to be good, and checks their files
// in the same way.
void prepare_images(const SampleOptions& options, const Request& request);

// Before the work: whether the picture of so many images, of `size` pixels a side, can be written
// at all. Throws InputError.
void check_sheet_size(const SampleOptions& options, const Request& request, int size);

struct SampleResults {
  const Request& request;
  const Result& result;
  const std::optional<Result>& full;  // with everything computed
  const nlohmann::ordered_json& stats;
  const ImageSettings& settings;
};

// The numbers before the pictures: if those fail, the run's results are not lost.
void write_outputs(const SampleOptions& options, const SampleResults& results);

// The images of a step's preview, one beside the other.
void write_preview(const SampleOptions& options, const std::vector<Image>& images);

}  // namespace l2c::cli
