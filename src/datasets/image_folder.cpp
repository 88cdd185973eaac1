#include "image_folder.h"

#include <fmt/format.h>

#include <cstdint>
#include <system_error>
#include <utility>

#include "center_crop.h"
#include "check_numbers.h"
#include "l2c/core/error.h"
#include "l2c/core/hash.h"
#include "l2c/io/image.h"
#include "openers.h"

namespace l2c {

namespace fs = std::filesystem;

namespace {

class ImageFolder : public DataSet {
 public:
  ImageFolder(fs::path folder, ImageListing listing, const DataOptions& options)
      : folder_(std::move(folder)), listing_(std::move(listing)), crop_(options.image_size) {
    info_.channels = options.channels == 0 ? 3 : options.channels;
    info_.image_size = crop_ == 0 ? size_of_first() : crop_;
    info_.size = static_cast<std::int64_t>(listing_.files.size());
    info_.num_classes = static_cast<int>(listing_.class_names.size());
    info_.class_names = listing_.class_names;
    info_.description = fmt::format("{} images in {} classes, {} {} x {}, from {}", info_.size,
                                    info_.num_classes, crop_ == 0 ? "of" : "cropped to",
                                    info_.image_size, info_.image_size, folder_.string());
    info_.fingerprint = listing_fingerprint();
  }

  const DataInfo& info() const override { return info_; }

  DataBatch batch(c10::ArrayRef<std::int64_t> numbers) const override {
    check_numbers(numbers, info_);
    const auto count = static_cast<std::int64_t>(numbers.size());
    const std::int64_t side = info_.image_size;
    at::Tensor x = at::empty({count, info_.channels, side, side}, at::kFloat);
    at::Tensor y = at::empty({count}, at::kLong);
    auto* pixels = x.mutable_data_ptr<float>();
    auto* labels = y.mutable_data_ptr<std::int64_t>();
    const std::int64_t image_numel = info_.channels * side * side;
    at::parallel_for(0, count, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const auto number = static_cast<std::size_t>(numbers[static_cast<std::size_t>(i)]);
        write_planes(load(number), pixels + i * image_numel);
        labels[i] = listing_.files[number].label;
      }
    });
    return {.x = std::move(x), .y = std::move(y)};
  }

 private:
  fs::path path_of(std::size_t number) const {
    const ImageFile& file = listing_.files[number];
    return folder_ / listing_.class_names[static_cast<std::size_t>(file.label)] / file.name;
  }

  io::Bitmap load(std::size_t number) const {
    const fs::path path = path_of(number);
    io::Bitmap image = io::with_channels(io::read_image(path), info_.channels);
    if (crop_ != 0) return center_crop(std::move(image), crop_);
    if (image.width != info_.image_size || image.height != info_.image_size) {
      throw InputError(fmt::format(
          "'{}' has {} x {} pixels, the first image of the folder {} x {}; "
          "give an image size to which all are cropped",
          path.string(), image.width, image.height, info_.image_size, info_.image_size));
    }
    return image;
  }

  int size_of_first() const {
    const fs::path path = path_of(0);
    const io::Bitmap image = io::read_image(path);
    if (image.width != image.height) {
      throw InputError(
          fmt::format("'{}' has {} x {} pixels; give an image size to which all are "
                      "cropped",
                      path.string(), image.width, image.height));
    }
    return image.width;
  }

  void write_planes(const io::Bitmap& image, float* target) const {
    const auto channels = static_cast<std::size_t>(info_.channels);
    const std::size_t count = image.pixels.size() / channels;
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t i = 0; i < count; ++i) {
        *target++ = static_cast<float>(image.pixels[i * channels + c]) / 127.5F - 1.0F;
      }
    }
  }

  // Not of the content: reading a million files would take minutes.
  std::string listing_fingerprint() const {
    Hash hash;
    for (std::size_t number = 0; number < listing_.files.size(); ++number) {
      const ImageFile& file = listing_.files[number];
      std::error_code error;
      const auto size = fs::file_size(path_of(number), error);
      if (error) {
        throw InputError(fmt::format("cannot read '{}': {}; check the disk, or take it away",
                                     path_of(number).string(), error.message()));
      }
      hash.text(listing_.class_names[static_cast<std::size_t>(file.label)]);
      hash.text(file.name);
      hash.number(static_cast<std::int64_t>(size));
    }
    hash.number(info_.image_size);
    hash.number(crop_);
    hash.number(info_.channels);
    return hash.hex();
  }

  fs::path folder_;
  ImageListing listing_;
  int crop_;  // to this size; 0: taken as they are
  DataInfo info_;
};

}  // namespace

std::shared_ptr<const DataSet> open_image_folder(const fs::path& folder,
                                                 const DataOptions& options) {
  ImageListing listing = list_images(folder, options.need_classes);
  check_no_parts(folder, options);
  return std::make_shared<ImageFolder>(folder, std::move(listing), options);
}

}  // namespace l2c
