#include "fastest.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <exception>
#include <limits>

namespace l2c::ops {

Measured measure_all(std::size_t candidates, c10::function_ref<double(std::size_t)> measure) {
  Measured measured;
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < candidates; ++i) {
    try {
      const double time = measure(i);
      if (!measured.fastest || time < least) {
        measured.fastest = i;
        least = time;
      }
    } catch (const c10::OutOfMemoryError&) {
      throw;
    } catch (const c10::Error& error) {
      measured.failures += fmt::format("[{}] {} ", i, error.what_without_backtrace());
    } catch (const std::exception& error) {
      measured.failures += fmt::format("[{}] {} ", i, error.what());
    }
  }
  return measured;
}

}  // namespace l2c::ops
