// Images (or latents) with labels, for training and evaluation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "l2c/core/torch.h"

namespace l2c {

struct DataInfo {
  std::string description;  // for people: "60000 images of 28 x 28, from /usr/share/..."
  // Of everything a training sees: 32 hex digits; equal data, equal text. Of the content, but for a
  // folder of images of the sorted names, the file sizes and the options: a file that was changed
  // and kept its size goes unnoticed.
  std::string fingerprint;
  std::int64_t size = 0;
  int channels = 0;
  int image_size = 0;  // height and width
  int num_classes = 0;
  std::vector<std::string> class_names;  // by label; empty: they have no names
};

struct DataBatch {
  at::Tensor x;  // [N, C, S, S] fp32 on the CPU; pixels in [-1, 1]
  at::Tensor y;  // [N] int64 on the CPU, 0 ... num_classes - 1
};

// Immutable; batch() may be called from any thread.
class DataSet {
 public:
  virtual ~DataSet() = default;
  [[nodiscard]] virtual const DataInfo& info() const = 0;
  // The examples with these numbers (0 ... size - 1, in this order, repeats allowed). Throws
  // InputError for a number outside, or when an image cannot be decoded (the file is named).
  [[nodiscard]] virtual DataBatch batch(c10::ArrayRef<std::int64_t> numbers) const = 0;
};

struct DataOptions {
  // Of data with parts of their own (IDX folders): "train" or "test". Data without parts are wholly
  // "train"; "test or all" is what to measure on: the test part, or all where there are no parts.
  std::string split = "train";
  // A folder's images are cropped and resized to it, 1 ... 16384; 0: as they are, all of one size.
  // Other data must have it.
  int image_size = 0;
  int channels = 0;  // 1 (gray) or 3 (RGB) for a folder of images; 0: 3. Other data must have it
  // false: a folder of image files without class folders is data, too, of one class; one with both
  // is refused.
  bool need_classes = true;
};

// Opens, told apart by what is there:
//  - a folder with train-images-idx3-ubyte(.gz) and its three companions (MNIST, Fashion-MNIST),
//  - a folder with one subfolder a class (sorted by name), holding PNG or JPEG files (see
//    io::read_image); decoded when asked for, on the threads that ATen has for one operation,
//    centre-cropped and resized as DiT's train.py does. Hidden folders are left out; a warning is
//    logged for other entries that are no images,
//  - an .npz file with "arr_0" (uint8 [N, S, S, C]) and, where there are labels, "arr_1" (integers
//    [N]), as OpenAI's guided-diffusion (ADM) writes samples; without labels all have label 0,
//  - a safetensors file with "images" (uint8 or floating [N, C, S, S]) or "latents" (floating), and
//    "labels" (integers [N]).
// uint8 pixels v become v / 127.5 - 1; floating images must lie in [-1, 1]. A safetensors or
// .npz file is mapped: it must stay as it is while the data are used. num_classes is one more than
// the largest label (of both parts, where there are parts), or the number of class folders. Throws
// InputError that names the file and says what to do.
std::shared_ptr<const DataSet> open_data(const std::filesystem::path& path,
                                         const DataOptions& options = {});

// Data in memory, copied. x [N, C, S, S] (uint8 pixels, or floating and finite: taken as they are),
// y [N] integers below num_classes. Throws InputError for anything else.
std::shared_ptr<const DataSet> tensor_data(const at::Tensor& x, const at::Tensor& y,
                                           int num_classes, std::string description);

}  // namespace l2c
