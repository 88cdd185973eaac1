// What l2c throws. No LibTorch header behind it.
#pragma once

#include <stdexcept>
#include <string>

namespace l2c {

// Base of everything that l2c throws on purpose. what() says what was wrong and what to do.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The caller's input cannot be used: a bad file, a request outside its range, a router that does
// not fit the model. Trying again with the same input fails again.
class InputError : public Error {
 public:
  using Error::Error;
};

// The input was fine but the work failed: disk full, no memory, non-finite latents.
class RunError : public Error {
 public:
  using Error::Error;
};

// The stop token was used. what() says what was saved; samplers write nothing.
class Cancelled : public Error {
 public:
  using Error::Error;
};

}  // namespace l2c
