// Samples and reference batches of OpenAI's guided-diffusion.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>

#include "l2c/core/error.h"
#include "l2c/io/npz.h"
#include "memory_data.h"
#include "openers.h"

namespace l2c {

std::shared_ptr<const DataSet> open_npz_data(const std::filesystem::path& path,
                                             const DataOptions& options) {
  const auto file = io::NpzFile::open(path);
  check_no_parts(path, options);
  if (!file.contains("arr_0")) {
    throw InputError(fmt::format("'{}' holds no images (arr_0, uint8 [N, S, S, C]); it holds: {}",
                                 path.string(), fmt::join(file.names(), ", ")));
  }
  const auto images = file.tensor("arr_0");
  if (images.dim() != 4 || images.scalar_type() != at::kByte ||
      (images.size(3) != 1 && images.size(3) != 3)) {
    throw InputError(fmt::format(
        "'{}', array 'arr_0' is {} [{}]; expected uint8 images [N, S, S, 1 or 3]", path.string(),
        at::toString(images.scalar_type()), fmt::join(images.sizes(), ", ")));
  }
  const MemorySource source{
      .name = fmt::format("'{}'", path.string()),
      .description = fmt::format("{} images of {} x {}, from {}", images.size(0), images.size(1),
                                 images.size(2), path.string()),
      .x = images.permute({0, 3, 1, 2}),
      .y = file.contains("arr_1") ? file.tensor("arr_1") : at::zeros({images.size(0)}, at::kLong),
      .num_classes = 0,
      .pixels = true};
  auto data = memory_data(source);
  check_fixed_shape(path, data->info(), options);
  return data;
}

}  // namespace l2c
