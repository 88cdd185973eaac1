#include "check_numbers.h"

#include <fmt/format.h>

#include "l2c/core/error.h"

namespace l2c {

void check_numbers(c10::ArrayRef<std::int64_t> numbers, const DataInfo& info) {
  for (const std::int64_t number : numbers) {
    if (number >= 0 && number < info.size) continue;
    throw InputError(fmt::format("there is no example {}: the data ({}) have the examples 0 ... {}",
                                 number, info.description, info.size - 1));
  }
}

}  // namespace l2c
