#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <system_error>

#include "image_folder.h"
#include "l2c/core/error.h"
#include "l2c/core/log.h"

namespace l2c {

namespace fs = std::filesystem;

namespace {

// Entries that are no images: how many, and one of them.
struct PassedOver {
  std::int64_t count = 0;
  fs::path first;  // in the order of the names
  void add(const fs::path& path) {
    if (count++ == 0) first = path;
  }
};

bool is_hidden(const std::string& name) { return name.starts_with('.'); }

bool has_image_name(const std::string& name) {
  constexpr std::array<std::string_view, 3> endings = {".png", ".jpg", ".jpeg"};
  std::string lower = name;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  });
  return std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) {
    return lower.size() > ending.size() && lower.ends_with(ending);
  });
}

// Without hidden ones; sorted.
std::vector<std::string> entry_names(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator each(folder, error), end; !error && each != end;
       each.increment(error)) {
    std::string name = each->path().filename().string();
    if (!is_hidden(name)) names.push_back(std::move(name));
  }
  if (error) {
    throw InputError(
        fmt::format("cannot read the folder '{}': {}; check its permissions and the "
                    "disk",
                    folder.string(), error.message()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Follows links; false for one that leads nowhere or in a circle.
bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

[[noreturn]] void no_images_in_class(const fs::path& folder) {
  const auto names = entry_names(folder);
  const bool nested = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return is_folder(folder / name);
  });
  throw InputError(
      nested
          ? fmt::format("the class folder '{}' holds no PNG or JPEG file, but folders; when these "
                        "are the classes, name '{}' as the data set",
                        folder.string(), folder.string())
          : fmt::format("the class folder '{}' holds no PNG or JPEG file; put its images there or "
                        "remove it",
                        folder.string()));
}

[[noreturn]] void no_classes(const fs::path& folder, const PassedOver& others) {
  const bool images = others.count > 0 && has_image_name(others.first.filename().string());
  throw InputError(fmt::format(
      "the folder '{}' holds no data: neither the files of MNIST (train-images-idx3-ubyte and its "
      "companions) nor subfolders{}; one subfolder with PNG or JPEG files for each class is "
      "needed, "
      "a single one for images without classes",
      folder.string(), images ? ", but images" : ""));
}

// Whether its images or its folders are meant, nobody can know.
[[noreturn]] void images_beside_folders(const fs::path& folder, std::int64_t images,
                                        const std::vector<std::string>& folders) {
  throw InputError(fmt::format(
      "'{}' holds {} images and, beside them, {} folders (the first is '{}'): move the folders "
      "elsewhere for the images to count, or the images for class folders, or name one of the "
      "folders",
      folder.string(), images, folders.size(), folders.front()));
}

void list_class(const fs::path& folder, int label, ImageListing& listing, PassedOver& others) {
  const std::size_t before = listing.files.size();
  for (std::string& name : entry_names(folder)) {
    if (has_image_name(name) && is_file(folder / name)) {
      listing.files.push_back({.label = label, .name = std::move(name)});
    } else {
      others.add(folder / name);
    }
  }
  if (listing.files.size() == before) no_images_in_class(folder);
}

}  // namespace

ImageListing list_images(const fs::path& folder, bool need_classes) {
  ImageListing listing;
  PassedOver others;
  std::int64_t images = 0;
  for (std::string& name : entry_names(folder)) {
    if (is_folder(folder / name)) {
      listing.class_names.push_back(std::move(name));
    } else {
      if (has_image_name(name)) ++images;
      others.add(folder / name);
    }
  }
  if (!need_classes && images > 0 && !listing.class_names.empty()) {
    images_beside_folders(folder, images, listing.class_names);
  }
  if (listing.class_names.empty()) {
    if (need_classes || others.count == 0) no_classes(folder, others);
    listing.class_names.emplace_back(".");  // the folder itself
    others = {};
  }
  for (std::size_t label = 0; label < listing.class_names.size(); ++label) {
    list_class(folder / listing.class_names[label], static_cast<int>(label), listing, others);
  }
  if (others.count > 0) {
    log::warning(
        fmt::format("'{}': {} entries that are no PNG or JPEG files are passed over; the "
                    "first is '{}'",
                    folder.string(), others.count, others.first.string()));
  }
  return listing;
}

}  // namespace l2c
