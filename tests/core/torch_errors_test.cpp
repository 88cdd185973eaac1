#include "l2c/core/torch_errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

#include "l2c/core/error.h"
#include "l2c/core/torch.h"

namespace l2c {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

TEST(OurErrors, MemoryThatLibTorchCannotGet) {
  EXPECT_THAT(
      [] { with_our_errors("less, please", [] { (void)at::empty({std::int64_t{1} << 50}); }); },
      ThrowsMessage<RunError>("out of memory: less, please"));
}

TEST(OurErrors, MemoryThatTheStandardLibraryCannotGet) {
  EXPECT_THAT([] { with_our_errors("less, please", [] { throw std::bad_alloc(); }); },
              ThrowsMessage<RunError>("out of memory: less, please"));
}

TEST(OurErrors, OfLibTorchComeWithoutABacktrace) {
  EXPECT_THAT(
      [] { with_our_errors("", [] { (void)at::zeros({2, 3}).matmul(at::zeros({2, 3})); }); },
      ThrowsMessage<RunError>(
          AllOf(HasSubstr("LibTorch failed"), HasSubstr("2x3"), Not(HasSubstr("frame #")))));
}

TEST(OurErrors, OthersPass) {
  EXPECT_THROW(with_our_errors("", [] { throw std::logic_error("mine"); }), std::logic_error);
  EXPECT_THROW(with_our_errors("", [] { throw InputError("ours"); }), InputError);
}

}  // namespace
}  // namespace l2c
