// What the targets share.
#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

#include "l2c/core/torch.h"
#include "targets.h"

namespace l2c::fuzz {

// The path of this process's one file in memory, with these bytes in it from now on. Whatever still
// maps what it held before must be gone.
const std::filesystem::path& file_of(Bytes bytes);

// A folder that is taken away when the process ends, in which every path that was asked for names
// the file of file_of(). `name` may hold folders.
std::filesystem::path also_called(std::string_view name);

// Whether `read` ends without an InputError. One whose message is longer than 2000 bytes, does not
// contain `file` or holds control characters becomes a std::logic_error.
bool accepted(std::string_view file, const std::function<void()>& read);

// Throws std::logic_error, which says `what`, unless it holds.
void require(bool holds, const char* what);

// Reads every byte of a small tensor, by a copy as whoever loads it would make; of a large one
// (expanded views may claim any size), the first and the last element.
void touch(const at::Tensor& tensor);

}  // namespace l2c::fuzz
