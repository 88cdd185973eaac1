// Router files as the training scripts of learning-to-cache write them.
#pragma once

#include <filesystem>

#include "l2c/cache/router.h"

namespace l2c {

// Whether a torch.save file holds a router as read_published_router takes it. Throws InputError
// when it cannot be read.
bool holds_published_router(const std::filesystem::path& path);

// A torch.save file with {'routers': {'<i>.prob': [units]}, 'args': Namespace} (DiT) or a bare dict
// of '<i>.prob' (U-ViT). Throws InputError.
Router read_published_router(const std::filesystem::path& path);

}  // namespace l2c
