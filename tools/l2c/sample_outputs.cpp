#include "sample_outputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "console.h"
#include "l2c/core/error.h"
#include "l2c/io/file.h"
#include "l2c/io/png.h"
#include "l2c/io/png_text.h"
#include "l2c/sampling/contact_sheet.h"
#include "l2c/sampling/latents.h"
#include "outputs.h"
#include "report.h"

namespace l2c::cli {

namespace {

constexpr int most_columns = 10;

// One column a class, one row an image of it; a single row of classes is broken after ten.
io::Bitmap sheet(const Result& result, const Request& request) {
  const int classes = static_cast<int>(request.labels.size());
  if (request.per_class == 1) return contact_sheet(result.images, std::min(classes, most_columns));
  std::vector<Image> by_row;
  for (int j = 0; j < request.per_class; ++j) {
    for (int k = 0; k < classes; ++k) {
      by_row.push_back(result.images[static_cast<std::size_t>(k * request.per_class + j)]);
    }
  }
  return contact_sheet(by_row, classes);
}

void write_picture(const std::string& path, const io::Bitmap& bitmap,
                   const ImageSettings& settings) {
  const auto text = to_text(settings);
  if (text.size() <= io::most_png_text) {
    io::write_png_with_text(path, bitmap, image_settings_keyword, text);
  } else {
    io::write_png(path, bitmap);
    complain(fmt::format("note: {}: settings of {} bytes are too long to be kept in the picture",
                         path, text.size()));
  }
}

void write_sheet(const SampleOptions& options, const SampleResults& results) {
  const auto shown = [&](const Result& result) {
    return options.image ? result.images.at(0).bitmap : sheet(result, results.request);
  };
  auto bitmap = shown(results.result);
  if (results.full) bitmap = stack(shown(*results.full), bitmap);
  write_picture(options.out, bitmap, results.settings);
  say(fmt::format("wrote {}", options.out));
}

// Of a picture of one image already.
ImageSettings alone(ImageSettings settings) {
  settings.compared = false;
  return settings;
}

std::string image_path(const SampleOptions& options, std::int64_t number, int label) {
  return (std::filesystem::path(options.images) / fmt::format("{:06}-label-{}.png", number, label))
      .string();
}

void write_images(const SampleOptions& options, const SampleResults& results) {
  for (const Image& image : results.result.images) {
    write_picture(
        image_path(options, results.request.first_image + image.index, image.label), image.bitmap,
        options.image ? alone(results.settings) : of_image(results.settings, image.index));
  }
  say(fmt::format("wrote {} images to {}", results.result.images.size(), options.images));
}

[[noreturn]] void refuse_folder(const std::string& folder, const std::string& why) {
  throw InputError(fmt::format("--images {}: cannot make that folder: {}", folder, why));
}

// That it is one, or could be made. Makes nothing: the request may still be refused.
void check_folder(const std::string& folder) {
  std::error_code error;
  if (!std::filesystem::exists(folder, error)) {
    const auto path = std::filesystem::path(folder);
    io::check_writable(path.has_filename() ? path : path.parent_path());
  } else if (std::filesystem::is_directory(folder, error)) {
    io::check_writable(std::filesystem::path(folder) / "000000.png");
  } else {
    refuse_folder(folder, "a file has its name");
  }
}

// All that is read.
std::vector<std::string> inputs_of(const SampleOptions& options) {
  auto inputs = inputs_of(options.pipeline, options.cache);
  inputs.push_back(options.from);
  add_paths_in(options.initial_noise, inputs);
  return inputs;
}

std::vector<std::string> outputs_of(const SampleOptions& options) {
  return {options.out, options.save_latents, options.stats, options.preview};
}

}  // namespace

void prepare_outputs(SampleOptions& options) {
  if (options.out.empty() && options.images.empty() && options.save_latents.empty() &&
      options.stats.empty()) {
    options.out = "samples.png";
    std::error_code error;
    if (!options.from.empty() && std::filesystem::equivalent(options.out, options.from, error)) {
      throw InputError(
          fmt::format("'{}' would be written over: name another file with --out", options.from));
    }
  }
  check_outputs(outputs_of(options), inputs_of(options));
  if (!options.images.empty()) check_folder(options.images);
}

void prepare_images(const SampleOptions& options, const Request& request) {
  if (options.images.empty()) return;
  std::error_code error;
  std::filesystem::create_directory(options.images, error);
  if (!std::filesystem::is_directory(options.images)) {
    refuse_folder(options.images, error ? error.message() : "a file has its name");
  }
  auto paths = outputs_of(options);
  const auto images = static_cast<std::int64_t>(request.labels.size()) * request.per_class;
  for (std::int64_t i = 0; i < images; ++i) {
    if (options.image && i != *options.image) continue;
    const auto label = request.labels[static_cast<std::size_t>(i / request.per_class)];
    paths.push_back(image_path(options, request.first_image + i, label));
  }
  check_outputs(paths, inputs_of(options));
}

void check_sheet_size(const SampleOptions& options, const Request& request, int size) {
  const auto images = static_cast<std::int64_t>(request.labels.size()) * request.per_class;
  // Counted a little too large: every image with its margin, and a half-filled last row.
  const auto fits = [size](std::int64_t shown) {
    constexpr std::int64_t margins = 12;
    return (shown + most_columns) * (size + margins) * (size + margins) <= io::most_png_pixels;
  };
  if (!options.out.empty() && !fits(images * (options.compare ? 2 : 1))) {
    throw InputError(
        fmt::format("{} images do not fit into one PNG of {} pixels: ask for fewer, or give "
                    "--images or --save-latents without --out",
                    images, io::most_png_pixels));
  }
  if (!options.preview.empty() && !fits(std::min<std::int64_t>(images, request.batch_size))) {
    throw InputError(
        fmt::format("a preview of {} images does not fit into one PNG of {} pixels: give a smaller "
                    "--batch-size",
                    request.batch_size, io::most_png_pixels));
  }
}

void write_outputs(const SampleOptions& options, const SampleResults& results) {
  if (!options.save_latents.empty()) {
    save_latents(options.save_latents, results.result.latents);
    say(fmt::format("wrote {}", options.save_latents));
  }
  if (!options.stats.empty()) {
    write_json(options.stats, results.stats);
    say(fmt::format("wrote {}", options.stats));
  }
  if (!options.out.empty()) write_sheet(options, results);
  if (!options.images.empty()) write_images(options, results);
}

void write_preview(const SampleOptions& options, const std::vector<Image>& images) {
  io::write_png(options.preview,
                contact_sheet(images, std::min(static_cast<int>(images.size()), most_columns)));
}

}  // namespace l2c::cli
