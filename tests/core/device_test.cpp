#include "l2c/core/device.h"

#include <ATen/Context.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "l2c/core/error.h"

namespace {

using l2c::InputError;
using l2c::parse_device;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(ParseDevice, Cpu) { EXPECT_EQ(parse_device("cpu"), at::Device(at::kCPU)); }

TEST(ParseDevice, RefusesMalformedNames) {
  for (const char* name : {"", "gpu", "CPU", "cpu:0", "cuda:", "cuda:-1", "cuda:x", "cuda:1x",
                           "cuda: 1", "cuda:128", "cuda:99999999999", "cuda0"}) {
    EXPECT_THAT([&] { parse_device(name); },
                ThrowsMessage<InputError>(AllOf(HasSubstr(fmt::format("device '{}'", name)),
                                                HasSubstr("use cpu, cuda or cuda:N"))));
  }
}

TEST(ParseDtype, KnowsTwo) {
  EXPECT_EQ(l2c::parse_dtype("fp32"), at::kFloat);
  EXPECT_EQ(l2c::parse_dtype("bf16"), at::kBFloat16);
  for (const char* name : {"", "fp16", "BF16", "float"}) {
    EXPECT_THAT([&] { (void)l2c::parse_dtype(name); },
                ThrowsMessage<InputError>(AllOf(HasSubstr(fmt::format("dtype \"{}\"", name)),
                                                HasSubstr("fp32"), HasSubstr("bf16"))));
  }
}

TEST(ParseDevice, WithoutAGpuTheReasonIsGiven) {
  if (at::globalContext().hasCUDA()) GTEST_SKIP() << "this machine has a GPU";
  const char* reason = at::globalContext().hasCUDART() ? "no NVIDIA GPU" : "CPU-only";
  for (const char* name : {"cuda", "cuda:0"}) {
    EXPECT_THAT([&] { parse_device(name); },
                ThrowsMessage<InputError>(AllOf(HasSubstr(reason), HasSubstr("use cpu"))));
  }
}

TEST(ParseDevice, WithAGpuItsNumberIsChecked) {
  if (!at::globalContext().hasCUDA()) GTEST_SKIP() << "this machine has no GPU";
  EXPECT_EQ(parse_device("cuda"), at::Device(at::kCUDA, 0));
  EXPECT_THAT([] { parse_device("cuda:127"); }, ThrowsMessage<InputError>(HasSubstr("usable GPU")));
}

TEST(DisableTf32, SwitchesBothOff) {
  at::globalContext().setAllowTF32CuBLAS(true);
  at::globalContext().setAllowTF32CuDNN(true);
  l2c::disable_tf32();
  EXPECT_FALSE(at::globalContext().allowTF32CuBLAS());
  EXPECT_FALSE(at::globalContext().allowTF32CuDNN());
}

}  // namespace
