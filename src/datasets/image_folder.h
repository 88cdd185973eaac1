// What an image folder holds.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace l2c {

struct ImageFile {
  int label = 0;
  std::string name;  // within its class folder
};

struct ImageListing {
  std::vector<std::string> class_names;  // the subfolders, sorted by bytes
  std::vector<ImageFile> files;          // sorted by class, then by name
};

// Lists the subfolders of `folder` (hidden ones left out) and the files in them whose names end as
// those of PNG and JPEG files do. One warning goes to the log when other entries are passed over.
// Without `need_classes` a folder of images alone is one class, named ".". Throws InputError: no
// class folder, one without images, a folder that cannot be read; without `need_classes` images
// beside folders, too.
ImageListing list_images(const std::filesystem::path& folder, bool need_classes);

}  // namespace l2c
