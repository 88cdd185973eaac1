// What the user would read.
#pragma once

#include <exception>
#include <functional>
#include <string>

#include "l2c/core/error.h"

namespace l2c::test {

// The message of the exception of exactly this type that `call` throws; otherwise a text that says
// what happened instead, which no test looks for.
template <typename Exception = InputError>
std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Exception& error) {
    return error.what();
  } catch (const std::exception& error) {
    return std::string("another exception: ") + error.what();
  }
  return "no exception";
}

}  // namespace l2c::test
