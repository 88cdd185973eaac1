#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>

#include "l2c/core/error.h"
#include "l2c/io/safetensors.h"
#include "memory_data.h"
#include "openers.h"

namespace l2c {

namespace {

constexpr const char* kAdvice =
    "store uint8 or floating 'images' or floating 'latents' [N, C, S, S], and integer 'labels' [N]";

[[noreturn]] void fail(const io::SafetensorsFile& file, const std::string& what) {
  throw InputError(fmt::format("'{}' cannot be used as a data set: {}; {}", file.path().string(),
                               what, kAdvice));
}

}  // namespace

std::shared_ptr<const DataSet> open_safetensors_data(const std::filesystem::path& path,
                                                     const DataOptions& options) {
  const auto file = io::SafetensorsFile::open(path);
  check_no_parts(path, options);
  const bool images = file.contains("images");
  if (images && file.contains("latents")) fail(file, "it holds both 'images' and 'latents'");
  if ((!images && !file.contains("latents")) || !file.contains("labels")) {
    fail(file, fmt::format("it holds: {}", fmt::join(file.names(), ", ")));
  }
  MemorySource source{.name = fmt::format("'{}'", path.string()),
                      .description = {},
                      .x = file.tensor(images ? "images" : "latents"),
                      .y = file.tensor("labels"),
                      .num_classes = 0,
                      .pixels = images};
  if (!images && !source.x.is_floating_point()) {
    fail(file, fmt::format("its latents are of dtype {}", at::toString(source.x.scalar_type())));
  }
  if (source.x.dim() == 4) {
    source.description =
        fmt::format("{} {} of {} x {}, from {}", source.x.size(0), images ? "images" : "latents",
                    source.x.size(2), source.x.size(3), path.string());
  }
  auto data = memory_data(source);
  check_fixed_shape(path, data->info(), options);
  return data;
}

}  // namespace l2c
