#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <string>
#include <system_error>

#include "l2c/core/error.h"
#include "l2c/io/idx.h"
#include "memory_data.h"
#include "openers.h"

namespace l2c {

namespace fs = std::filesystem;

namespace {

std::string file_prefix(const std::string& split) { return split == "train" ? "train" : "t10k"; }

std::string images_name(const std::string& split) {
  return file_prefix(split).append("-images-idx3-ubyte");
}

std::string labels_name(const std::string& split) {
  return file_prefix(split).append("-labels-idx1-ubyte");
}

// The file as it is, or packed.
std::optional<fs::path> find_file(const fs::path& folder, const std::string& name) {
  for (const char* ending : {"", ".gz"}) {
    fs::path path = folder / (name + ending);
    std::error_code ignored;
    if (fs::is_regular_file(path, ignored)) return path;
  }
  return std::nullopt;
}

fs::path need_file(const fs::path& folder, const std::string& name) {
  auto path = find_file(folder, name);
  if (!path) {
    throw InputError(
        fmt::format("the folder '{}' has neither '{}' nor '{}.gz'; copy the data set's "
                    "four files into one folder",
                    folder.string(), name, name));
  }
  return *path;
}

void check_file(const fs::path& path, const at::Tensor& values, std::int64_t rank) {
  if (values.dim() == rank && values.scalar_type() == at::kByte) return;
  throw InputError(fmt::format(
      "'{}' holds {} of shape [{}]; uint8 of rank {} is expected, as in "
      "MNIST",
      path.string(), at::toString(values.scalar_type()), fmt::join(values.sizes(), ", "), rank));
}

at::Tensor read_labels(const fs::path& path) {
  at::Tensor labels = io::read_idx(path);
  check_file(path, labels, 1);
  return labels;
}

// Both parts count, so that they agree about their classes.
int count_classes(const fs::path& folder, const at::Tensor& labels, const std::string& other) {
  auto largest = labels.max().item<int>();
  if (const auto path = find_file(folder, labels_name(other))) {
    const at::Tensor more = read_labels(*path);
    if (more.numel() > 0) largest = std::max(largest, more.max().item<int>());
  }
  return largest + 1;
}

}  // namespace

bool is_idx_folder(const fs::path& folder) {
  for (const char* split : {"train", "test"}) {
    if (find_file(folder, images_name(split)) || find_file(folder, labels_name(split))) return true;
  }
  return false;
}

std::shared_ptr<const DataSet> open_idx_folder(const fs::path& folder, const DataOptions& options) {
  const fs::path images_path = need_file(folder, images_name(options.split));
  const fs::path labels_path = need_file(folder, labels_name(options.split));
  const at::Tensor images = io::read_idx(images_path);
  check_file(images_path, images, 3);
  const at::Tensor labels = read_labels(labels_path);
  if (images.size(0) != labels.size(0)) {
    throw InputError(
        fmt::format("'{}' has {} images, but '{}' has {} labels; take both from one "
                    "data set",
                    images_path.string(), images.size(0), labels_path.string(), labels.size(0)));
  }
  MemorySource source{
      .name = fmt::format("'{}'", images_path.string()),
      .description =
          fmt::format("{} images of {} x {}, from {} ({} part)", images.size(0), images.size(1),
                      images.size(2), folder.string(), options.split == "train" ? "train" : "test"),
      .x = images.unsqueeze(1),
      .y = labels};
  if (labels.numel() > 0) {
    source.num_classes = count_classes(folder, labels, options.split == "train" ? "test" : "train");
  }
  auto data = memory_data(source);
  check_fixed_shape(folder, data->info(), options);
  return data;
}

}  // namespace l2c
