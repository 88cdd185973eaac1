#include "l2c/datasets/dataset.h"

#include <fmt/format.h>

#include <string>
#include <system_error>

#include "l2c/core/error.h"
#include "l2c/io/npz.h"
#include "openers.h"

namespace l2c {

namespace fs = std::filesystem;

namespace {

void check_options(const DataOptions& options) {
  if (options.split != "train" && options.split != "test" && options.split != "test or all") {
    throw InputError(
        fmt::format("there is no part '{}' of a data set; ask for 'train', 'test' or 'test or all'",
                    options.split));
  }
  constexpr int most = 1 << 14;  // its square is io::most_png_pixels
  if (options.image_size < 0 || options.image_size > most) {
    throw InputError(
        fmt::format("an image size of {}; give 1 ... {} pixels, or 0 to take the images "
                    "as they are",
                    options.image_size, most));
  }
  if (options.channels != 0 && options.channels != 1 && options.channels != 3) {
    throw InputError(
        fmt::format("{} channels; give 1 (gray), 3 (RGB), or 0 to take them as they "
                    "are",
                    options.channels));
  }
}

// Somebody may name one of the four files rather than their folder.
void check_not_idx_file(const fs::path& path) {
  if (path.filename().string().find("-ubyte") == std::string::npos) return;
  throw InputError(fmt::format("'{}' is one file of a data set; name its folder '{}' instead",
                               path.string(), path.parent_path().string()));
}

}  // namespace

void check_fixed_shape(const fs::path& path, const DataInfo& info, const DataOptions& options) {
  if (options.image_size != 0 && options.image_size != info.image_size) {
    throw InputError(fmt::format(
        "'{}' holds images of {} x {}, {} x {} were asked for; only folders "
        "of image files are resized",
        path.string(), info.image_size, info.image_size, options.image_size, options.image_size));
  }
  if (options.channels != 0 && options.channels != info.channels) {
    throw InputError(
        fmt::format("'{}' holds images of {} channels, {} were asked for; only folders "
                    "of image files are converted",
                    path.string(), info.channels, options.channels));
  }
}

void check_no_parts(const fs::path& path, const DataOptions& options) {
  if (options.split != "test") return;
  throw InputError(
      fmt::format("'{}' has no test part: it holds one set of examples, the 'train' "
                  "part; name other data for a test",
                  path.string()));
}

std::shared_ptr<const DataSet> open_data(const fs::path& path, const DataOptions& options) {
  check_options(options);
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    check_not_idx_file(path);
    if (io::looks_like_npz(path)) return open_npz_data(path, options);
    return open_safetensors_data(path, options);  // says so when there is nothing
  }
  if (is_idx_folder(path)) return open_idx_folder(path, options);
  return open_image_folder(path, options);
}

}  // namespace l2c
