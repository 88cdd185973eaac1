// LibTorch's exceptions in terms of ours.
#pragma once

#include <functional>
#include <string>

namespace l2c {

// Runs `work`. What LibTorch or the allocator throws becomes a RunError: out of memory with
// `advice` (such as "try a smaller batch size"), anything else with LibTorch's message, without its
// backtrace. Other exceptions pass.
void with_our_errors(const std::string& advice, const std::function<void()>& work);

}  // namespace l2c
