// The precompiled header of all l2c modules and of their tests. Every file still includes what it
// uses: the build must also work without this one.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "l2c/core/torch.h"
