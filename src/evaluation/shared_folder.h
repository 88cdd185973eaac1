// How several calls, of any processes, come to work on one sample set at the same time.
#pragma once

#include <filesystem>
#include <stop_token>

#include "l2c/io/folder_lock.h"
#include "l2c/training/settings.h"

namespace l2c {

// The file of whose numbers each stands for one shard.
std::filesystem::path claims_file(const std::filesystem::path& folder);

// Makes the folder where needed and takes its shared lock. The file "settings.json" in it says what
// those who hold that lock make: it is written where nobody is at work, and read by those who come
// later. Throws InputError: others are at work with other settings (the differences are listed), or
// somebody who does not share; Cancelled.
io::FolderLock share_folder(const std::filesystem::path& folder, const TrainingSettings& settings,
                            const std::stop_token& stop);

}  // namespace l2c
