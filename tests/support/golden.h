// Golden files and matchers for tensors.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "l2c/core/torch.h"
#include "l2c/io/safetensors.h"

namespace l2c::test {

// tests/data/NAME.
std::filesystem::path data(const std::string& name);
// The checkout's folder.
std::filesystem::path source_dir();
// ../shared/reference/NAME (or $L2C_SHARED/reference/NAME); empty when it is not there: skip then,
// with a message.
std::filesystem::path shared_reference(const std::string& name);
// A fresh folder for one test, removed when the process ends.
std::filesystem::path scratch();

// The names of what lies in a folder, sorted.
std::vector<std::string> names_in(const std::filesystem::path& folder);

// Where golden tests run: the CPU, or $L2C_TEST_DEVICE ("cuda:0"; the ctest label gpu sets it). A
// program whose device is not there skips all its tests with a message.
at::Device device();

// max|a - b| / max|b| over the tensor, in double. Infinite for unlike shapes or non-finite values.
double relative_error(const at::Tensor& actual, const at::Tensor& expected);

// Expects relative_error <= tolerance. Keeps the largest error of each `golden` (the name of its
// file or part); they are printed when the test program ends.
void expect_close(const at::Tensor& actual, const at::Tensor& expected, double tolerance,
                  const std::string& golden);
// Expects equal shapes and equal bits.
void expect_equal(const at::Tensor& actual, const at::Tensor& expected, const std::string& what);

}  // namespace l2c::test
