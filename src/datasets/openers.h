// The kinds of data that open_data() knows. `options.split` is "train", "test" or
// "test or all" here: other texts were refused.
#pragma once

#include <filesystem>
#include <memory>

#include "l2c/datasets/dataset.h"

namespace l2c {

// True when the folder holds one of the four IDX files.
bool is_idx_folder(const std::filesystem::path& folder);
std::shared_ptr<const DataSet> open_idx_folder(const std::filesystem::path& folder,
                                               const DataOptions& options);

std::shared_ptr<const DataSet> open_safetensors_data(const std::filesystem::path& path,
                                                     const DataOptions& options);

std::shared_ptr<const DataSet> open_npz_data(const std::filesystem::path& path,
                                             const DataOptions& options);

// A folder with one subfolder a class.
std::shared_ptr<const DataSet> open_image_folder(const std::filesystem::path& folder,
                                                 const DataOptions& options);

// Throws InputError: data of fixed size and channels that are not what `options` asks for.
void check_fixed_shape(const std::filesystem::path& path, const DataInfo& info,
                       const DataOptions& options);
// Throws InputError: the test part of data without parts.
void check_no_parts(const std::filesystem::path& path, const DataOptions& options);

}  // namespace l2c
