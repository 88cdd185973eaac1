#include "l2c/core/torch_errors.h"

#include <fmt/format.h>

#include <new>

#include "l2c/core/error.h"
#include "l2c/core/torch.h"

namespace l2c {

namespace {

[[noreturn]] void out_of_memory(const std::string& advice) {
  throw RunError(fmt::format("out of memory: {}", advice));
}

// Exhaustion of a GPU has a class of its own; that of the CPU is only told by its text.
bool is_out_of_memory(const c10::Error& error) {
  return dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
         std::string_view(error.what_without_backtrace()).find("allocate memory") !=
             std::string_view::npos;
}

}  // namespace

void with_our_errors(const std::string& advice, const std::function<void()>& work) {
  try {
    work();
  } catch (const c10::Error& error) {
    if (is_out_of_memory(error)) out_of_memory(advice);
    throw RunError(
        fmt::format("LibTorch failed: {} (l2c doctor shows the versions; please report it)",
                    error.what_without_backtrace()));
  } catch (const std::bad_alloc&) {
    out_of_memory(advice);
  }
}

}  // namespace l2c
